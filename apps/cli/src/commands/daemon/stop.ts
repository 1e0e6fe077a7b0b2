import type { CommandDefinition } from '../../command.ts'
import { allOption, forEveryMesh } from '../../every-daemon.ts'
import { exitCodes } from '../../exit-codes.ts'
import { selectMesh } from '../../mesh-selection.ts'

export const command: CommandDefinition = {
  summary: 'Stop the daemon and return when it is gone',
  options: [allOption],
  examples: [
    { line: 'claudemesh daemon stop', describe: 'what is queued is sent at the next start' },
    { line: 'claudemesh daemon stop --all', describe: 'the daemons of every mesh of this home' },
  ],

  async run(invocation) {
    const { flags, mesh, environment, terminal } = invocation
    const { stopDaemon } = await import('../../daemon-process.ts')
    if (flags.isSet('all')) {
      return await forEveryMesh(invocation, async (place) => {
        const outcome = await stopDaemon(place)
        const pid = outcome.kind === 'stopped' ? outcome.pid : null
        return {
          value: { outcome: outcome.kind, mesh: place.mesh, pid },
          line: pid === null ? `${place.mesh}: was not running` : `${place.mesh}: has stopped (pid ${pid})`,
          exitCode: exitCodes.ok,
        }
      })
    }
    const place = { home: environment.home, mesh: selectMesh({ environment, mesh }) }
    const outcome = await stopDaemon(place)
    terminal.print({
      value: { outcome: outcome.kind, mesh: place.mesh, pid: outcome.kind === 'stopped' ? outcome.pid : null },
      render: (value) => [
        value.pid === null
          ? `the daemon of mesh ${place.mesh} was not running`
          : `the daemon of mesh ${place.mesh} has stopped (pid ${value.pid})`,
      ],
    })
    return exitCodes.ok
  },
}
