import { jobRowsMax } from '../limits.ts'
import type { Runtime } from '../runtime.ts'
import type { Store } from '../store/store.ts'
import type { Job } from './runner.ts'

/** Forgets message ids whose retention is over. */
export function dedupeExpiry(options: {
  readonly store: Store
  readonly runtime: Runtime
  readonly intervalMs: number
  readonly expired: (rows: number) => void
}): Job {
  const { store, runtime, intervalMs, expired } = options
  return {
    name: 'dedupe_expiry',
    intervalMs,
    async step() {
      const rows = await store.expireDedupe({ now: runtime.now(), rowsMax: jobRowsMax })
      expired(rows)
      return rows >= jobRowsMax
    },
  }
}
