import { watchIntervalMs } from '../limits.ts'
import type { Job } from './runner.ts'

/** Lets deliveries whose lease is over go out again, and ends connections that do not drain. */
export function leaseExpiry(options: { readonly watch: () => void; readonly leaseMs: number }): Job {
  return {
    name: 'lease_expiry',
    ofEveryNode: true,
    intervalMs: Math.min(watchIntervalMs, options.leaseMs),
    async step() {
      options.watch()
      return false
    },
  }
}
