import type { Job } from './runner.ts'

/** Says that this node lives, and looks for what it was not told. */
export function heartbeat(options: { readonly intervalMs: number; readonly beat: () => Promise<void> }): Job {
  return {
    name: 'heartbeat',
    ofEveryNode: true,
    intervalMs: options.intervalMs,
    async step() {
      await options.beat()
      return false
    },
  }
}
