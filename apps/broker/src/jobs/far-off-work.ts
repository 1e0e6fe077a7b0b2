import { limits } from '@claudemesh/protocol'
import { jobRowsMax } from '../limits.ts'
import type { Runtime } from '../runtime.ts'
import type { Store } from '../store/store.ts'
import type { Job } from './runner.ts'

/** What a consumer can ask for at most: a delay or a lease. */
const putOffMsMax = Math.max(limits.queueDelayMsMax, limits.queueLeaseMsMax)

/** Lets work be taken that was put off by a clock which was ahead, and would wait until that time comes. */
export function farOffWork(options: {
  readonly store: Store
  readonly runtime: Runtime
  readonly intervalMs: number
}): Job {
  const { store, runtime, intervalMs } = options
  return {
    name: 'far_off_work',
    intervalMs,
    async step() {
      const now = runtime.now()
      const rows = await store.queues.bringNear({ latest: now + putOffMsMax, now, rowsMax: jobRowsMax })
      return rows >= jobRowsMax
    },
  }
}
