import type { CommandDefinition } from '../../command.ts'
import { exitCodes } from '../../exit-codes.ts'
import { selectMesh } from '../../mesh-selection.ts'

export const command: CommandDefinition = {
  summary: 'Stop the daemon and return when it is gone',
  examples: [{ line: 'claudemesh daemon stop', describe: 'what is queued is sent at the next start' }],

  async run({ mesh, environment, terminal }) {
    const { stopDaemon } = await import('../../daemon-process.ts')
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
