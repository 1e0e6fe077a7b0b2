import { jobRowsMax } from '../limits.ts'
import type { Runtime } from '../runtime.ts'
import type { Store } from '../store/store.ts'
import type { Job } from './runner.ts'

/** Forgets ephemeral members that left long ago. */
export function forgetting(options: {
  readonly store: Store
  readonly runtime: Runtime
  readonly dedupeRetentionDays: number
  readonly intervalMs: number
  readonly expired: (rows: number) => void
}): Job {
  const { store, runtime, dedupeRetentionDays, intervalMs, expired } = options
  return {
    name: 'forgetting',
    intervalMs,
    async step() {
      const rows = await store.forgetMembers({ now: runtime.now(), dedupeRetentionDays, rowsMax: jobRowsMax })
      expired(rows)
      return rows >= jobRowsMax
    },
  }
}
