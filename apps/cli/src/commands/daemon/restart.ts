import type { CommandDefinition } from '../../command.ts'
import { exitCodes } from '../../exit-codes.ts'
import { selectMesh } from '../../mesh-selection.ts'
import { describeRunning } from '../../running.ts'

export const command: CommandDefinition = {
  summary: 'Stop the daemon if it runs, and start it; by its service manager where it is a service',
  examples: [
    { line: 'claudemesh daemon restart', describe: 'after an upgrade, or a change that a reload does not take' },
  ],

  async run({ mesh, environment, terminal }) {
    const { awaitDaemon, startDaemon, stopDaemon } = await import('../../daemon-process.ts')
    const { findServices, restartService } = await import('../../services/install.ts')
    const { home, configHome } = environment
    const place = { home, configHome, mesh: selectMesh({ environment, mesh }), memoryBytes: null }
    const before = await stopDaemon(place)
    const [service] = findServices(place)
    // One that was started beside its manager would keep the lock that the service needs.
    if (service !== undefined) restartService(service)
    const outcome = service === undefined ? await startDaemon(place, {}) : await awaitDaemon(place)
    if (outcome.kind === 'failed') throw outcome.error
    const previousPid = before.kind === 'stopped' ? before.pid : null
    terminal.print({
      value: {
        outcome: 'restarted',
        service: service?.name ?? null,
        previous_pid: previousPid,
        ...describeRunning(outcome.health),
      },
      render: (value) => [
        `the daemon of mesh ${place.mesh} is up (pid ${value.pid}${previousPid === null ? '' : `, before ${previousPid}`})`,
        `socket: ${value.socket}`,
      ],
    })
    return exitCodes.ok
  },
}
