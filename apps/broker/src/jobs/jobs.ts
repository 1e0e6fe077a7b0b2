import type { BrokerConfig } from '../config.ts'
import type { Deliverer } from '../deliver/deliver.ts'
import { departureIntervalMs, inspectionIntervalMs, inspectionRestMs, queueLeasesIntervalMs } from '../limits.ts'
import type { Log } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import type { Runtime } from '../runtime.ts'
import type { MemberKey } from '../store/rows.ts'
import type { Store } from '../store/store.ts'
import { dedupeExpiry } from './dedupe-expiry.ts'
import { draining } from './draining.ts'
import { endedLeases } from './ended-leases.ts'
import { forgetting } from './forgetting.ts'
import { leaseExpiry } from './lease-expiry.ts'
import { orphanCheck } from './orphan-check.ts'
import { queueLeases } from './queue-leases.ts'
import { retention } from './retention.ts'
import type { Job } from './runner.ts'

/** Every job of the broker. */
export function listJobs(parts: {
  readonly config: BrokerConfig
  readonly store: Store
  readonly runtime: Runtime
  readonly metrics: Metrics
  readonly log: Log
  readonly deliverer: Deliverer
  readonly isConnected: (member: MemberKey) => boolean
  /** Ends the membership of an ephemeral member, if its lease is over. */
  readonly end: (member: MemberKey) => Promise<void>
}): readonly Job[] {
  const { config, store, runtime, metrics, log, deliverer, isConnected, end } = parts
  const intervalMs = config.jobIntervalMs
  const departureMs = Math.min(departureIntervalMs, intervalMs)
  const count = (job: string) => (rows: number) => metrics.counters.expired_rows.inc({ job }, rows)
  const wake = (member: MemberKey) => deliverer.wake(member)
  return [
    leaseExpiry({ watch: () => deliverer.watch(), leaseMs: config.leaseMs }),
    retention({
      store,
      runtime,
      messageRetentionDays: config.settings.messageRetentionDays,
      intervalMs,
      expired: count('message_retention'),
      wake,
    }),
    dedupeExpiry({ store, runtime, intervalMs, expired: count('dedupe_expiry') }),
    endedLeases({ store, runtime, intervalMs: departureMs, isConnected, end }),
    queueLeases({
      ...{ store, runtime, wake },
      intervalMs: Math.min(queueLeasesIntervalMs, intervalMs),
      buried: (rows) => metrics.counters.queue_deaths.inc(rows),
    }),
    draining({ store, runtime, intervalMs: departureMs, expired: count('draining'), wake }),
    orphanCheck({
      ...{ store, runtime, metrics, log },
      intervalMs: Math.min(inspectionIntervalMs, intervalMs),
      restMs: Math.min(inspectionRestMs, 60 * intervalMs),
    }),
    forgetting({
      store,
      runtime,
      dedupeRetentionDays: config.settings.dedupeRetentionDays,
      intervalMs,
      expired: count('forgetting'),
    }),
  ]
}
