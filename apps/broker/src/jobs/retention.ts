import type { RetentionClock } from '@claudemesh/storage'
import { jobRowsMax } from '../limits.ts'
import type { MemberKey } from '../store/rows.ts'
import type { Store } from '../store/store.ts'
import type { Job } from './runner.ts'

/** Deletes messages past their retention. Their senders hear of whoever never got one. */
export function retention(options: {
  readonly store: Store
  readonly clock: RetentionClock
  readonly messageRetentionDays: number
  readonly intervalMs: number
  readonly expired: (rows: number) => void
  readonly wake: (member: MemberKey) => void
}): Job {
  const { store, clock, messageRetentionDays, intervalMs, expired, wake } = options
  return {
    name: 'message_retention',
    intervalMs,
    async step() {
      const { rows, notified } = await store.expireMessages({
        now: clock.now(),
        messageRetentionDays,
        rowsMax: jobRowsMax,
      })
      expired(rows)
      notified.forEach(wake)
      return rows >= jobRowsMax
    },
  }
}
