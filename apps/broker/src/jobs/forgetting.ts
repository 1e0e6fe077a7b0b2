import type { RetentionClock } from '@claudemesh/storage'
import { jobRowsMax } from '../limits.ts'
import type { Store } from '../store/store.ts'
import type { Job } from './runner.ts'

/** Forgets ephemeral members that left long ago. */
export function forgetting(options: {
  readonly store: Store
  readonly clock: RetentionClock
  readonly dedupeRetentionDays: number
  readonly intervalMs: number
  readonly expired: (rows: number) => void
}): Job {
  const { store, clock, dedupeRetentionDays, intervalMs, expired } = options
  return {
    name: 'forgetting',
    intervalMs,
    async step() {
      const rows = await store.forgetMembers({ now: clock.now(), dedupeRetentionDays, rowsMax: jobRowsMax })
      expired(rows)
      return rows >= jobRowsMax
    },
  }
}
