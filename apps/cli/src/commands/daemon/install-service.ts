import type { CommandDefinition } from '../../command.ts'
import { exitCodes } from '../../exit-codes.ts'
import { invalidUsage } from '../../flags.ts'
import { selectMesh } from '../../mesh-selection.ts'

export const command: CommandDefinition = {
  summary: 'Have systemd or launchd start the daemon with every login or boot, and again after a crash',
  options: [
    { syntax: '--system', describe: 'for the whole host, as root; default: for this user' },
    { syntax: '--socket-activation', describe: 'systemd holds the socket: who connects during a restart waits' },
    { syntax: '--allow-ci-persistent', describe: 'in a CI job too, whose host is thrown away' },
    { syntax: '--dry-run', describe: 'show the files and commands, and change nothing' },
  ],
  examples: [
    { line: 'claudemesh daemon install-service', describe: 'as a service of this user' },
    { line: 'claudemesh daemon install-service --dry-run', describe: 'what would be written and run' },
  ],

  async run({ flags, mesh, environment, terminal }) {
    if (environment.isCi && !flags.isSet('allow-ci-persistent')) {
      throw invalidUsage(
        'this is a CI job: what it installs outlives it only where its host does',
        'Run `claudemesh daemon start` in the job, or add --allow-ci-persistent.',
      )
    }
    const { servicePlace } = await import('../../services/place.ts')
    const place = await servicePlace(environment, selectMesh({ environment, mesh }))
    const { installService, serviceOf } = await import('../../services/install.ts')
    const wish = { system: flags.isSet('system'), socketActivation: flags.isSet('socket-activation') }
    const service = serviceOf(place, wish)
    const dryRun = flags.isSet('dry-run')
    if (!dryRun) {
      const { stopDaemon } = await import('../../daemon-process.ts')
      // One that was started by hand would keep the lock that the service needs.
      await stopDaemon(place)
      installService(service)
    }
    const { manager, name, files, enable, note } = service
    const commands = enable.map((words) => words.join(' '))
    terminal.print({
      value: { manager, name, files: files.map(({ path }) => path), commands, installed: !dryRun },
      render: () =>
        dryRun
          ? [...files.flatMap(({ path, text }) => [`# ${path}`, text]), ...commands]
          : [`${manager} runs the daemon of mesh ${place.mesh} as ${name}`, ...(note === null ? [] : [note])],
    })
    return exitCodes.ok
  },
}
