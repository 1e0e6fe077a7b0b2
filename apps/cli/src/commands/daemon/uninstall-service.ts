import type { CommandDefinition } from '../../command.ts'
import { exitCodes } from '../../exit-codes.ts'
import { selectMesh } from '../../mesh-selection.ts'

export const command: CommandDefinition = {
  summary: 'End the service of the daemon and take its files away; nothing of the mesh is touched',
  options: [{ syntax: '--system', describe: 'the one of the whole host, as root' }],
  examples: [
    { line: 'claudemesh daemon uninstall-service', describe: 'afterwards `claudemesh daemon start` starts it by hand' },
  ],

  async run({ flags, mesh, environment, terminal }) {
    const { home, configHome } = environment
    const place = { home, configHome, mesh: selectMesh({ environment, mesh }), memoryBytes: null }
    const { installedService, uninstallService } = await import('../../services/install.ts')
    const service = installedService(place, { system: flags.isSet('system') })
    const removed = uninstallService(service)
    terminal.print({
      value: { manager: service.manager, name: service.name, removed },
      render: ({ name }) => [removed ? `${name} is no service any more` : `there is no service ${name}`],
    })
    return exitCodes.ok
  },
}
