import type { CommandDefinition } from '../../command.ts'
import { exitCodes } from '../../exit-codes.ts'

export const command: CommandDefinition = {
  summary: 'Say whether the broker of a data directory runs and is ready',
  options: [{ syntax: '--data <directory>', describe: 'as for broker start' }],
  examples: [{ line: 'claudemesh broker status', describe: 'exit code 0 only if it is ready' }],

  async run({ flags, environment, terminal }) {
    const { brokerStatus } = await import('@claudemesh/broker')
    const data = flags.text('data') ?? environment.brokerData
    const status = await brokerStatus(data)
    const running = status?.alive === true
    const ready = running && status.ready
    terminal.print({
      value: { running, ready, data, url: running ? status.url : null, pid: running ? status.pid : null },
      render: () => {
        if (!running) {
          return [
            `no broker runs in ${data}`,
            '  -> claudemesh daemon start brings a local one up; or: claudemesh broker start',
          ]
        }
        if (ready) return [`ready at ${status.url} (pid ${status.pid})`]
        return [`runs at ${status.url} (pid ${status.pid}) and is not ready`, `  -> see ${data}/broker.log`]
      },
    })
    return ready ? exitCodes.ok : exitCodes.unavailable
  },
}
