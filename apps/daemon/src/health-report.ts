/** What `GET /v1/health` says: facts read at this moment, and the conditions that follow from them or were raised. */
import type { Condition, Health as HealthDocument, SupportedFeatures } from '@claudemesh/protocol'
import type { ArtifactStore } from './artifacts/artifact-store.ts'
import type { Sharing } from './compose/shares.ts'
import type { Events } from './events/events.ts'
import { condition, type Health, refusal } from './health.ts'
import type { Hooks } from './hooks/hooks.ts'
import type { Inbox } from './inbox/inbox.ts'
import type { DiskWatch } from './lifecycle/disk-watch.ts'
import type { Link, LinkStatus } from './link/link.ts'
import type { Members } from './members/members.ts'
import type { Outbox } from './outbox/outbox.ts'
import type { WorkQueues } from './queues/queues.ts'
import type { Receiver } from './receive/receive.ts'
import type { Runtime } from './runtime.ts'
import type { Sender } from './send/sender.ts'
import type { SkippedRecipients } from './send/skipped-recipients.ts'
import type { Sinks } from './sinks/sinks.ts'
import type { Spaces } from './spaces/spaces.ts'

export interface HealthSources {
  readonly self: {
    readonly mesh: string
    readonly meshId: string
    readonly memberId: string
    readonly name: string
  }
  readonly startedAt: number
  readonly version: string
  readonly sqliteVersion: string
  readonly socket: string
  readonly httpPort: () => number | null
  readonly maxAgeHours: () => number
  /** What was agreed with the broker at the last negotiation. */
  readonly features: () => SupportedFeatures
  readonly link: Link
  readonly outbox: Outbox
  readonly inbox: Inbox
  readonly members: Members
  readonly events: Events
  readonly artifacts: ArtifactStore
  readonly spaces: Spaces
  readonly sinks: Sinks
  readonly hooks: Hooks
  readonly sender: Sender
  readonly sharing: Pick<Sharing, 'failure' | 'totals'>
  readonly skipped: SkippedRecipients
  readonly receiver: Receiver
  readonly queues: WorkQueues
  readonly disk: DiskWatch
  readonly raised: Health
  readonly runtime: Runtime
}

export function reportHealth(sources: HealthSources): HealthDocument {
  const { self, outbox, inbox, disk, runtime } = sources
  const { conflict: _, refused: __, malformed_frames: ___, is_starting: isStarting, ...link } = sources.link.status()
  const conditions = listConditions(sources)
  const counts = outbox.counts()
  const oldest = outbox.oldestPendingAt()
  const oldestAge = oldest === null ? null : Math.max(0, runtime.now() - oldest)
  const { usedBytes, budgetBytes, availableBytes, pressure } = disk.latest
  return {
    status: conditions.every(({ severity }) => severity === 'info') ? 'ok' : 'degraded',
    conditions: [...conditions],
    mesh: self.mesh,
    mesh_id: self.meshId,
    member_id: self.memberId,
    name: self.name,
    pid: process.pid,
    started_at: sources.startedAt,
    socket: sources.socket,
    http_port: sources.httpPort(),
    link: isStarting ? { ...link, state: 'connecting' satisfies LinkStatus['state'] } : link,
    lag_ms: oldestAge ?? 0,
    outbox: { ...counts, oldest_pending_age_ms: oldestAge, max_age_hours: sources.maxAgeHours() },
    inbox: inbox.counts(),
    disk: { used_bytes: usedBytes, budget_bytes: budgetBytes, available_bytes: availableBytes, pressure },
    artifacts: { status: sources.artifacts.latest?.status ?? 'idle' },
    spaces: { status: sources.spaces.status, leases: sources.spaces.leases },
    versions: {
      daemon: sources.version,
      node: process.versions.node,
      sqlite: sources.sqliteVersion,
      schemas: schemaVersions(sources),
      features: { ...sources.features() },
    },
  }
}

/** Raised conditions first, then those that follow from what is so right now. */
export function listConditions(sources: HealthSources): readonly Condition[] {
  const { link, outbox, artifacts, sinks, hooks, spaces, sender, sharing, skipped, receiver, disk, raised } = sources
  const shareFailure = sharing.failure()
  const linkStatus = link.status()
  const { conflict } = linkStatus
  const { dead } = outbox.counts()
  const { pressure } = disk.latest
  return [
    ...raised.list(),
    ...(conflict === null ? [] : [condition('identity_conflict', `${conflict.code} ${conflict.name}`)]),
    ...(linkStatus.connected ? [] : [linkCondition(linkStatus)]),
    ...(sender.condition === null ? [] : [condition('send_failed', sender.condition.detail)]),
    ...(receiver.condition === null ? [] : [condition('receive_failed', receiver.condition.detail)]),
    ...(skipped.members === 0 ? [] : [condition('recipients_skipped', `${skipped.members} members`)]),
    ...(dead === 0 ? [] : [condition('outbox_dead_rows', `${dead} dead`)]),
    ...artifactConditions(artifacts),
    ...(shareFailure === null ? [] : [condition('shares_waiting', `${shareFailure.code}: ${shareFailure.message}`)]),
    ...(spaces.failure === null ? [] : [condition('spaces_down', spaces.failure.message)]),
    ...sinkConditions(sinks),
    ...hookConditions(hooks),
    ...(pressure === 'high' ? [condition('disk_pressure_high')] : []),
    ...(pressure === 'full' ? [condition('disk_full')] : []),
  ]
}

function artifactConditions({ latest }: ArtifactStore): readonly Condition[] {
  if (latest === null || latest.status === 'ok') return []
  return [condition(latest.status === 'down' ? 'artifacts_down' : 'artifacts_degraded', latest.detail ?? undefined)]
}

function sinkConditions({ summaries }: Sinks): readonly Condition[] {
  return summaries.flatMap(({ name, stopped, error, lost }) => [
    ...(stopped === null ? [] : [condition('sink_stopped', `${name}, ${stopped}`)]),
    ...(error === null ? [] : [condition('sink_failing', `${name}, ${error}`)]),
    ...(lost === 0 ? [] : [condition('sink_rows_lost', `${name}, ${lost} rows`)]),
  ])
}

function hookConditions(hooks: Hooks): readonly Condition[] {
  return [...hooks.configured].flatMap(([name, hook]) => {
    const { config, tally, sandboxFault } = hook
    const waitsFor = hooks.waitsFor(hook)
    return [
      ...(waitsFor === null ? [] : [condition('hook_waiting', `${name}: ${waitsFor}`)]),
      ...(sandboxFault === null || config.sandboxRequired
        ? []
        : [condition('hook_unconfined', `${name}: ${sandboxFault}`)]),
      ...(tally.isFailing ? [condition('hook_failing', `${name}, ${tally.failures} times in a row`)] : []),
      ...(tally.missed === 0 ? [] : [condition('hook_events_missed', `${name}, at most ${tally.missed}`)]),
    ]
  })
}

/** Of a link that is not open. */
function linkCondition({ is_starting: isStarting, refused, last_error: lastError }: LinkStatus): Condition {
  if (isStarting) return condition('link_connecting')
  return condition(refused === null ? 'link_down' : refusal(refused), lastError ?? undefined)
}

export function schemaVersions(
  sources: Pick<HealthSources, 'outbox' | 'inbox' | 'members' | 'events'>,
): Record<string, number> {
  return {
    outbox: sources.outbox.schemaVersion,
    inbox: sources.inbox.schemaVersion,
    members: sources.members.schemaVersion,
    events: sources.events.schemaVersion,
  }
}
