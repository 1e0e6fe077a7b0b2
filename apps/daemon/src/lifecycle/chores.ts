import type { RetentionClock } from '@claudemesh/storage'
import type { DaemonConfig } from '../config/config.ts'
import {
  eventsKeptMax,
  eventsRetentionMs,
  readReportRetentionDaysMin,
  retentionRowsMax,
  sweepRowsMax,
} from '../limits.ts'
import type { BrokerTerms } from './broker-terms.ts'
import type { Chore } from './housekeeping.ts'
import type { Stores } from './open-stores.ts'

const dayMs = 24 * 3_600_000

/** What goes when its time is over: contents and rows of finished sends, old messages, old events. */
export function chores(o: {
  stores: Stores
  terms: BrokerTerms
  config: () => DaemonConfig
  clock: Pick<RetentionClock, 'now'>
}): readonly Chore[] {
  const { stores, terms, config, clock } = o
  return [
    {
      name: 'outbox',
      step: () => {
        const dedupeRetentionDays = terms.retentionDays
        const { stripped, deleted } = stores.outbox.retain({ now: clock.now(), dedupeRetentionDays })
        return { removed: stripped + deleted, hasMore: Math.max(stripped, deleted) >= sweepRowsMax }
      },
    },
    {
      name: 'inbox',
      step: () => {
        const days = config().inbox.retentionDays
        const removed = stores.inbox.retain({ now: clock.now(), days, rowsMax: retentionRowsMax })
        return { removed, hasMore: removed >= retentionRowsMax }
      },
    },
    {
      name: 'read-reports',
      step: () => {
        // As long as the message itself at least: a row that can be marked again has its report.
        const days = Math.max(readReportRetentionDaysMin, config().inbox.retentionDays)
        const before = clock.now() - days * dayMs
        const removed = stores.inbox.reads.retain({ before, rowsMax: retentionRowsMax })
        return { removed, hasMore: removed >= retentionRowsMax }
      },
    },
    {
      name: 'keypair-archive',
      step: () => ({ removed: stores.identity.pruneArchive(clock.now()), hasMore: false }),
    },
    {
      name: 'events',
      step: () => {
        const bounds = { ageMsMax: eventsRetentionMs, countMax: eventsKeptMax, rowsMax: retentionRowsMax }
        const removed = stores.events.retain({ now: clock.now(), ...bounds })
        return { removed, hasMore: removed >= retentionRowsMax }
      },
    },
  ]
}

/** When a message was last received or accepted; null: never, as far as it is kept. */
export function lastKnownTime({ inbox, outbox }: Stores): number | null {
  const newest = { order: 'newest', after: null, since: null, topic: null, sender: null, unread: false } as const
  const received = inbox.page({ ...newest, limit: 1 }).rows[0]?.receivedAt ?? 0
  const accepted = outbox.list({ status: null, after: null, limit: 1 })?.[0]?.enqueuedAt ?? 0
  return Math.max(received, accepted) || null
}
