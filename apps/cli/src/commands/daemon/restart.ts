import type { CommandDefinition } from '../../command.ts'
import { exitCodes } from '../../exit-codes.ts'
import { selectMesh } from '../../mesh-selection.ts'
import { describeRunning } from '../../running.ts'

export const command: CommandDefinition = {
  summary: 'Stop the daemon if it runs, and start it',
  examples: [
    { line: 'claudemesh daemon restart', describe: 'after an upgrade, or a change that a reload does not take' },
  ],

  async run({ mesh, environment, terminal }) {
    const { startDaemon, stopDaemon } = await import('../../daemon-process.ts')
    const place = { home: environment.home, mesh: selectMesh({ environment, mesh }) }
    const before = await stopDaemon(place)
    const outcome = await startDaemon(place, {})
    if (outcome.kind === 'failed') throw outcome.error
    const previousPid = before.kind === 'stopped' ? before.pid : null
    terminal.print({
      value: { outcome: 'restarted', previous_pid: previousPid, ...describeRunning(outcome.health) },
      render: (value) => [
        `the daemon of mesh ${place.mesh} is up (pid ${value.pid}${previousPid === null ? '' : `, before ${previousPid}`})`,
        `socket: ${value.socket}`,
      ],
    })
    return exitCodes.ok
  },
}
