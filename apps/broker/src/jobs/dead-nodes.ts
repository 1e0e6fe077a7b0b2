import { jobRowsMax } from '../limits.ts'
import type { Runtime } from '../runtime.ts'
import type { MemberKey } from '../store/rows.ts'
import type { Seats } from '../store/seats.ts'
import type { Job } from './runner.ts'

/** Gives up nodes that are silent, and frees what they held. */
export function deadNodes(options: {
  readonly seats: Seats
  readonly runtime: Runtime
  readonly deadAfterMs: number
  readonly intervalMs: number
  readonly wake: (member: MemberKey) => void
}): Job {
  const { seats, runtime, deadAfterMs, intervalMs, wake } = options
  return {
    name: 'dead_nodes',
    intervalMs,
    async step() {
      const freed = await seats.freeDead({ deadAfterMs, now: runtime.now(), rowsMax: jobRowsMax })
      freed.forEach(wake)
      return freed.length >= jobRowsMax
    },
  }
}
