import type { RetentionClock } from '@claudemesh/storage'
import { jobRowsMax } from '../limits.ts'
import type { MemberKey } from '../store/rows.ts'
import type { Store } from '../store/store.ts'
import type { Job } from './runner.ts'

/**
 * Ends the membership of ephemeral members that have been away for longer than their lease. Of those who are connected
 * the lease begins anew.
 */
export function endedLeases(options: {
  readonly store: Store
  readonly clock: RetentionClock
  readonly intervalMs: number
  readonly end: (member: MemberKey) => Promise<void>
}): Job {
  const { store, clock, intervalMs, end } = options
  return {
    name: 'ended_leases',
    intervalMs,
    async step() {
      const now = clock.now()
      const ended = await store.listEndedLeases({ now, limit: jobRowsMax })
      const present = ended.length > 0 ? await store.seats.listSeated(ended) : []
      if (present.length > 0) await store.renewLeases(present, now)
      // One at a time: what waits for one of them may be a batch of its own. Whoever has just been found present is left
      // alone by the store, since its lease has begun anew.
      for (const member of ended) await end(member)
      return ended.length >= jobRowsMax
    },
  }
}
