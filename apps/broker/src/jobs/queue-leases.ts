import { jobRowsMax } from '../limits.ts'
import type { Runtime } from '../runtime.ts'
import type { MemberKey } from '../store/rows.ts'
import type { Store } from '../store/store.ts'
import type { Job } from './runner.ts'

/**
 * Buries messages of work queues whose last delivery came back without an acknowledgement; their senders are told. Any
 * other message whose lease is over can be taken as it is.
 */
export function queueLeases(options: {
  readonly store: Store
  readonly runtime: Runtime
  readonly intervalMs: number
  readonly buried: (rows: number) => void
  readonly wake: (member: MemberKey) => void
}): Job {
  const { store, runtime, intervalMs, buried, wake } = options
  return {
    name: 'queue_leases',
    intervalMs,
    async step() {
      const { rows, notified } = await store.queues.buryExhausted({ now: runtime.now(), rowsMax: jobRowsMax })
      buried(rows)
      notified.forEach(wake)
      return rows >= jobRowsMax
    },
  }
}
