import type { RetentionClock } from '@claudemesh/storage'
import { blobJobRowsMax, expiredBlobMsMax, uploadIdleMsMax } from '../limits.ts'
import type { Relay } from '../relay/relay.ts'
import type { Job } from './runner.ts'

/** Ends blobs whose time is over, and uploads that nobody goes on with. */
export function blobExpiry(options: {
  readonly relay: Relay
  readonly clock: RetentionClock
  readonly intervalMs: number
  readonly expired: (rows: number) => void
}): Job {
  const { relay, clock, intervalMs, expired } = options
  return {
    name: 'blob_expiry',
    intervalMs,
    async step() {
      const now = clock.now()
      const rows = await relay.expire({
        now,
        idleBefore: now - uploadIdleMsMax,
        forgetBefore: now - expiredBlobMsMax,
        rowsMax: blobJobRowsMax,
      })
      expired(rows)
      return rows >= blobJobRowsMax
    },
  }
}
