import type { Health } from '@claudemesh/protocol'
import type { CommandDefinition, Invocation } from '../../command.ts'
import { startCommand } from '../../connection.ts'
import type { DaemonPlace, DaemonState } from '../../daemon-process.ts'
import { allOption, forEveryMesh } from '../../every-daemon.ts'
import { type ExitCode, exitCodes } from '../../exit-codes.ts'
import { selectMesh } from '../../mesh-selection.ts'
import { renderCondition } from '../../output/conditions.ts'
import { renderFields } from '../../output/fields.ts'
import { printable } from '../../output/printable.ts'
import { formatBytes, formatDuration, formatTime } from '../../output/quantity.ts'
import type { Terminal } from '../../output/terminal.ts'
import { daemonPaths, MeshError, toProblem } from '../../protocol.ts'
import { describeRunning } from '../../running.ts'

export const command: CommandDefinition = {
  summary: 'Show on one screen how the daemon is; exit code 0 only if it is healthy',
  options: [allOption],
  examples: [
    { line: 'claudemesh daemon status', describe: 'link, queue, disk, and the commands that help' },
    { line: 'claudemesh daemon status --all', describe: 'a line for each mesh of this home' },
    { line: 'claudemesh daemon status --json | jq .queue', describe: 'rows of the outbox by status' },
  ],

  async run(invocation) {
    const { flags, mesh, environment, terminal } = invocation
    if (flags.isSet('all')) return await showAll(invocation)
    const { inspectDaemon } = await import('../../daemon-process.ts')
    const slug = selectMesh({ environment, mesh })
    const state = await inspectDaemon({ home: environment.home, mesh: slug })
    if (state.health === null) {
      terminal.print({
        value: {
          running: false,
          mesh: slug,
          socket: daemonPaths(environment.home, slug).socket,
          pid: state.pid,
          last_exit: state.lastExit,
        },
        render: () => renderDown(slug, state),
      })
      return exitCodes.unavailable
    }
    terminal.print({
      value: { ...state.health, ...describeRunning(state.health) },
      render: (value) => renderUp(value, terminal),
    })
    return state.health.status === 'ok' ? exitCodes.ok : exitCodes.failed
  },
}

async function showAll(invocation: Invocation): Promise<ExitCode> {
  const { inspectDaemon } = await import('../../daemon-process.ts')
  let usedBytes = 0
  const act = async (place: DaemonPlace) => {
    const { health, pid, lastExit } = await inspectDaemon(place)
    usedBytes += health?.disk.used_bytes ?? 0
    if (health === null) {
      return {
        value: { running: false, mesh: place.mesh, pid, last_exit: lastExit },
        line: `${renderDown(place.mesh, { health, pid, lastExit }).join('\n')}`,
        exitCode: exitCodes.unavailable,
      }
    }
    const isOk = health.status === 'ok'
    const { pending, dead } = health.outbox
    const link = health.link.connected ? 'connected' : health.link.state
    return {
      value: { ...health, ...describeRunning(health) },
      line: `${place.mesh}: ${isOk ? 'healthy' : 'needs attention'}, ${link}, ${pending} pending, ${dead} dead, ${health.inbox.unread} unread (pid ${health.pid})`,
      exitCode: isOk ? exitCodes.ok : exitCodes.failed,
    }
  }
  return await forEveryMesh(invocation, act, async (meshes) => {
    try {
      return await describeFleet(invocation.environment.home, meshes, usedBytes)
    } catch (error) {
      // A setting that cannot be read keeps nobody from seeing how the daemons are.
      if (!(error instanceof MeshError)) throw error
      return { value: { fleet: { error: toProblem(error) } }, line: `all: error: ${printable(error.message)}` }
    }
  })
}

/** What the daemons of the home may have together. */
async function describeFleet(home: string, meshes: readonly string[], usedBytes: number) {
  const { effectiveConfig, runningMeshes, sharesOf } = await import('@claudemesh/daemon')
  const settings = new Map(
    effectiveConfig({ home, mesh: meshes[0] ?? '', flags: {} }).map((each) => [each.name, each.value]),
  )
  const bound = (name: string) => Number(settings.get(`fleet.${name}`) ?? Number.POSITIVE_INFINITY)
  const [max, disk, memory] = [bound('max_daemons'), bound('disk_budget_bytes'), bound('memory_budget_bytes')]
  const orNull = (value: number) => (Number.isFinite(value) ? value : null)
  const running = runningMeshes(home).length
  const shares = sharesOf(home, orNull(max))
  const parts = [
    `${running} of ${Number.isFinite(max) ? `at most ${max}` : meshes.length} run`,
    `disk ${formatBytes(usedBytes)}${Number.isFinite(disk) ? ` of ${formatBytes(disk)}` : ''}`,
    ...(Number.isFinite(memory) ? [`memory of services ${formatBytes(memory)}`] : []),
    ...(Number.isFinite(disk) || Number.isFinite(memory) ? [`in ${shares} shares`] : []),
  ]
  return {
    value: {
      fleet: {
        ...{ running, shares, disk_used_bytes: usedBytes, max_daemons: orNull(max) },
        ...{ disk_budget_bytes: orNull(disk), memory_budget_bytes: orNull(memory) },
      },
    },
    line: `all: ${parts.join(', ')}`,
  }
}

function renderDown(mesh: string, { pid, lastExit }: DaemonState): readonly string[] {
  if (pid !== null) {
    return [
      `the daemon of mesh ${mesh} runs (pid ${pid}) and does not answer: it is starting, stopping or stuck`,
      `  -> claudemesh daemon logs --mesh ${mesh}`,
    ]
  }
  const start = `  -> ${startCommand(mesh)}`
  if (lastExit === null) return [`the daemon of mesh ${mesh} is not running`, start]
  return [
    `the daemon of mesh ${mesh} is not running`,
    `it left at ${formatTime(lastExit.at)} with ${lastExit.name}: ${printable(lastExit.reason)}`,
    ...(lastExit.remedy === null ? [] : [`  -> ${printable(lastExit.remedy)}`]),
    start,
  ]
}

function renderUp(health: Health, terminal: Terminal): readonly string[] {
  const healthy = health.status === 'ok'
  return [
    terminal.paint(healthy ? 'green' : 'yellow', healthy ? 'healthy' : 'needs attention'),
    ...renderFields({
      mesh: `${health.mesh} (${health.mesh_id})`,
      member: `${health.name} (${health.member_id})`,
      running: `since ${formatTime(health.started_at)}, pid ${health.pid}`,
      socket: health.http_port === null ? health.socket : `${health.socket}, 127.0.0.1:${health.http_port}`,
      broker: brokerText(health),
      'last error': health.link.connected ? null : health.link.last_error,
      outbox: outboxText(health),
      inbox: `${health.inbox.messages} messages, ${health.inbox.unread} unread`,
      disk: diskText(health),
      versions: versionsText(health),
    }),
    ...health.conditions.flatMap((condition) => renderCondition(condition, terminal)),
  ]
}

function brokerText({ link }: Health): string {
  if (!link.connected) return `${link.broker_url}, ${link.state}`
  const since = link.connected_since === null ? '' : ` since ${formatTime(link.connected_since)}`
  const roundTrip = link.round_trip_ms === null ? '' : `, round trip ${link.round_trip_ms.toFixed(1)} ms`
  return `${link.broker_url}, connected${since}${roundTrip}`
}

function outboxText({ outbox }: Health): string {
  const { pending, inflight, done, dead, aborted, oldest_pending_age_ms: age } = outbox
  const oldest = age === null || pending === 0 ? '' : ` (the oldest for ${formatDuration(age)})`
  return `${pending} pending${oldest}, ${inflight} in flight, ${done} done, ${dead} dead, ${aborted} aborted`
}

function diskText({ disk }: Health): string {
  const budget = disk.budget_bytes === null ? '' : ` of ${formatBytes(disk.budget_bytes)}`
  return `${formatBytes(disk.used_bytes)}${budget} used, ${formatBytes(disk.available_bytes)} free`
}

function versionsText({ versions, link }: Health): string {
  const broker = link.broker_version === null ? '' : `, broker ${link.broker_version}`
  return `daemon ${versions.daemon}${broker}, node ${versions.node}, sqlite ${versions.sqlite}`
}
