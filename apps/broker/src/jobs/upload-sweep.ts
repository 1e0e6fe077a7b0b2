import type { Relay } from '../relay/relay.ts'
import type { Job } from './runner.ts'

/** Removes what arrived of uploads that have ended, from the directory of this node. */
export function uploadSweep(options: { readonly relay: Relay; readonly intervalMs: number }): Job {
  const { relay, intervalMs } = options
  return {
    name: 'upload_sweep',
    intervalMs,
    ofEveryNode: true,
    async step() {
      await relay.uploads.sweep()
      return false
    },
  }
}
