import type { RetentionClock } from '@claudemesh/storage'
import { jobRowsMax } from '../limits.ts'
import type { Store } from '../store/store.ts'
import type { Job } from './runner.ts'

/** Forgets message ids whose retention is over. */
export function dedupeExpiry(options: {
  readonly store: Store
  readonly clock: RetentionClock
  readonly intervalMs: number
  readonly expired: (rows: number) => void
}): Job {
  const { store, clock, intervalMs, expired } = options
  return {
    name: 'dedupe_expiry',
    intervalMs,
    async step() {
      const rows = await store.expireDedupe({ now: clock.now(), rowsMax: jobRowsMax })
      expired(rows)
      return rows >= jobRowsMax
    },
  }
}
