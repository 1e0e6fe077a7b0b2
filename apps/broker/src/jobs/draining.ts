import { jobRowsMax } from '../limits.ts'
import type { Runtime } from '../runtime.ts'
import type { MemberKey } from '../store/rows.ts'
import type { Store } from '../store/store.ts'
import type { Job } from './runner.ts'

/** Drops what waits for members that are gone, where it was too much for the transaction in which they went. */
export function draining(options: {
  readonly store: Store
  readonly runtime: Runtime
  readonly intervalMs: number
  readonly expired: (rows: number) => void
  readonly wake: (member: MemberKey) => void
}): Job {
  const { store, runtime, intervalMs, expired, wake } = options
  return {
    name: 'draining',
    intervalMs,
    async step() {
      const { rows, notified } = await store.drain({ at: runtime.now(), rowsMax: jobRowsMax })
      expired(rows)
      notified.forEach(wake)
      return rows >= jobRowsMax
    },
  }
}
