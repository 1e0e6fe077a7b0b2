import { blobJobRowsMax } from '../limits.ts'
import type { Relay } from '../relay/relay.ts'
import type { Runtime } from '../runtime.ts'
import type { Job } from './runner.ts'

/** Deletes the bytes of blobs that have ended. */
export function blobRemoval(options: {
  readonly relay: Relay
  readonly runtime: Runtime
  readonly intervalMs: number
  readonly removed: (objects: number) => void
}): Job {
  const { relay, runtime, intervalMs, removed } = options
  return {
    name: 'blob_removal',
    intervalMs,
    async step() {
      const objects = await relay.removeUnused({ now: runtime.now(), rowsMax: blobJobRowsMax })
      removed(objects)
      return objects >= blobJobRowsMax
    },
  }
}
