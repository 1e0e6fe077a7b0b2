import { MeshError } from '@claudemesh/protocol'
import type { Log } from './log.ts'
import type { Metrics } from './metrics.ts'
import type { Store } from './store/store.ts'

/** Takes a failure behind the sockets, whose sender only sees a 5xx or a close. */
export type Report = (error: unknown) => void

/** The one place where failures behind the sockets are logged. `failed` resolves with the first that is final. */
export function createReport(options: {
  readonly store: Store
  readonly log: Log
  readonly failures: Metrics['counters']['failures']
}): {
  readonly failed: Promise<void>
  readonly report: Report
} {
  let fail: () => void = () => undefined
  const failed = new Promise<void>((resolve) => {
    fail = resolve
  })
  const report = (error: unknown): void => {
    options.failures.inc()
    options.log.error({ err: error }, 'failure')
    if (error instanceof MeshError && error.code === 'storage_failed') options.store.ping().catch(fail)
  }
  return { failed, report }
}
