import type { RetentionClock } from '@claudemesh/storage'
import type { BrokerConfig } from '../config.ts'
import type { Deliverer } from '../deliver/deliver.ts'
import {
  absenceIntervalMs,
  departureIntervalMs,
  inspectionIntervalMs,
  inspectionRestMs,
  queueLeasesIntervalMs,
} from '../limits.ts'
import type { Log } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import type { Relay } from '../relay/relay.ts'
import type { Runtime } from '../runtime.ts'
import type { RateLimiter } from '../store/rates.ts'
import type { MemberKey } from '../store/rows.ts'
import type { Store } from '../store/store.ts'
import { absences } from './absences.ts'
import { blobExpiry } from './blob-expiry.ts'
import { blobRemoval } from './blob-removal.ts'
import { deadNodes } from './dead-nodes.ts'
import { dedupeExpiry } from './dedupe-expiry.ts'
import { draining } from './draining.ts'
import { endedLeases } from './ended-leases.ts'
import { farOffWork } from './far-off-work.ts'
import { forgetting } from './forgetting.ts'
import { heartbeat } from './heartbeat.ts'
import { leaseExpiry } from './lease-expiry.ts'
import { orphanCheck } from './orphan-check.ts'
import { queueLeases } from './queue-leases.ts'
import { rateWindows } from './rate-windows.ts'
import { retention } from './retention.ts'
import type { Job } from './runner.ts'
import { uploadSweep } from './upload-sweep.ts'

interface JobParts {
  readonly config: BrokerConfig
  readonly store: Store
  readonly runtime: Runtime
  /** What is past its time is judged by it. */
  readonly clock: RetentionClock
  readonly metrics: Metrics
  readonly log: Log
  readonly deliverer: Deliverer
  readonly rates: RateLimiter
  readonly relay: Relay | null
  readonly beat: () => Promise<void>
  readonly wake: (member: MemberKey) => void
  readonly departed: (member: MemberKey, at: number) => void
  /** Ends the membership of an ephemeral member, if its lease is over. */
  readonly end: (member: MemberKey) => Promise<void>
}

/** Every job of the broker. */
export function listJobs(parts: JobParts): readonly Job[] {
  const { config, store, runtime, clock, metrics, log, deliverer, rates, beat, wake, departed, end } = parts
  const intervalMs = config.jobIntervalMs
  const departureMs = Math.min(departureIntervalMs, intervalMs)
  const count = (job: string) => (rows: number) => metrics.counters.expired_rows.inc({ job }, rows)
  return [
    heartbeat({ intervalMs: config.nodeHeartbeatMs, beat }),
    deadNodes({
      ...{ seats: store.seats, runtime, wake },
      deadAfterMs: config.nodeDeadMs,
      intervalMs: Math.min(absenceIntervalMs, config.nodeDeadMs),
    }),
    absences({
      ...{ seats: store.seats, runtime, departed },
      graceMs: config.presenceGraceMs,
      intervalMs: Math.max(10, Math.min(absenceIntervalMs, config.presenceGraceMs)),
    }),
    rateWindows({ rates }),
    leaseExpiry({ watch: () => deliverer.watch(), leaseMs: config.leaseMs }),
    retention({
      store,
      clock,
      messageRetentionDays: config.settings.messageRetentionDays,
      intervalMs,
      expired: count('message_retention'),
      wake,
    }),
    dedupeExpiry({ store, clock, intervalMs, expired: count('dedupe_expiry') }),
    endedLeases({ store, clock, intervalMs: departureMs, end }),
    queueLeases({
      ...{ store, runtime, wake },
      intervalMs: Math.min(queueLeasesIntervalMs, intervalMs),
      buried: (rows) => metrics.counters.queue_deaths.inc(rows),
    }),
    farOffWork({ store, runtime, intervalMs }),
    draining({ store, runtime, intervalMs: departureMs, expired: count('draining'), wake }),
    orphanCheck({
      ...{ store, runtime, metrics, log },
      intervalMs: Math.min(inspectionIntervalMs, intervalMs),
      restMs: Math.min(inspectionRestMs, 60 * intervalMs),
    }),
    forgetting({
      store,
      clock,
      dedupeRetentionDays: config.settings.dedupeRetentionDays,
      intervalMs,
      expired: count('forgetting'),
    }),
    ...listRelayJobs(parts),
  ]
}

function listRelayJobs({ relay, runtime, clock, config, metrics }: JobParts): readonly Job[] {
  if (relay === null) return []
  const intervalMs = config.jobIntervalMs
  const count = (job: string) => (rows: number) => metrics.counters.expired_rows.inc({ job }, rows)
  return [
    blobExpiry({ relay, clock, intervalMs, expired: count('blob_expiry') }),
    blobRemoval({ relay, runtime, intervalMs, removed: count('blob_removal') }),
    uploadSweep({ relay, intervalMs }),
  ]
}
