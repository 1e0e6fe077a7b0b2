import { jobRowsMax } from '../limits.ts'
import type { Runtime } from '../runtime.ts'
import type { MemberKey } from '../store/rows.ts'
import type { Store } from '../store/store.ts'
import type { Job } from './runner.ts'

/** Deletes messages past their retention. Their senders hear of whoever never got one. */
export function retention(options: {
  readonly store: Store
  readonly runtime: Runtime
  readonly messageRetentionDays: number
  readonly intervalMs: number
  readonly expired: (rows: number) => void
  readonly wake: (member: MemberKey) => void
}): Job {
  const { store, runtime, messageRetentionDays, intervalMs, expired, wake } = options
  return {
    name: 'message_retention',
    intervalMs,
    async step() {
      const { rows, notified } = await store.expireMessages({
        now: runtime.now(),
        messageRetentionDays,
        rowsMax: jobRowsMax,
      })
      expired(rows)
      notified.forEach(wake)
      return rows >= jobRowsMax
    },
  }
}
