import type { DaemonConfig } from '../config.ts'
import {
  eventsKeptMax,
  eventsRetentionMs,
  readReportRetentionDaysMin,
  retentionRowsMax,
  sweepRowsMax,
} from '../limits.ts'
import type { Runtime } from '../runtime.ts'
import type { BrokerTerms } from './broker-terms.ts'
import type { Chore } from './housekeeping.ts'
import type { Stores } from './open-stores.ts'

const dayMs = 24 * 3_600_000

/** What goes when its time is over: contents and rows of finished sends, old messages, old events. */
export function chores(o: {
  stores: Stores
  terms: BrokerTerms
  config: () => DaemonConfig
  runtime: Runtime
}): readonly Chore[] {
  const { stores, terms, config, runtime } = o
  return [
    {
      name: 'outbox',
      step: () => {
        const dedupeRetentionDays = terms.retentionDays
        const { stripped, deleted } = stores.outbox.retain({ now: runtime.now(), dedupeRetentionDays })
        return { removed: stripped + deleted, hasMore: Math.max(stripped, deleted) >= sweepRowsMax }
      },
    },
    {
      name: 'inbox',
      step: () => {
        const days = config().inbox.retentionDays
        const removed = stores.inbox.retain({ now: runtime.now(), days, rowsMax: retentionRowsMax })
        return { removed, hasMore: removed >= retentionRowsMax }
      },
    },
    {
      name: 'read-reports',
      step: () => {
        // As long as the message itself at least: a row that can be marked again has its report.
        const days = Math.max(readReportRetentionDaysMin, config().inbox.retentionDays)
        const before = runtime.now() - days * dayMs
        const removed = stores.inbox.reads.retain({ before, rowsMax: retentionRowsMax })
        return { removed, hasMore: removed >= retentionRowsMax }
      },
    },
    {
      name: 'keypair-archive',
      step: () => ({ removed: stores.identity.pruneArchive(runtime.now()), hasMore: false }),
    },
    {
      name: 'events',
      step: () => {
        const bounds = { ageMsMax: eventsRetentionMs, countMax: eventsKeptMax, rowsMax: retentionRowsMax }
        const removed = stores.events.retain({ now: runtime.now(), ...bounds })
        return { removed, hasMore: removed >= retentionRowsMax }
      },
    },
  ]
}
