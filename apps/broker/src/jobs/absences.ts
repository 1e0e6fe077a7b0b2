import { jobRowsMax } from '../limits.ts'
import type { Runtime } from '../runtime.ts'
import type { MemberKey } from '../store/rows.ts'
import type { Seats } from '../store/seats.ts'
import type { Job } from './runner.ts'

/** Tells of members that have been away for longer than the grace time. */
export function absences(options: {
  readonly seats: Seats
  readonly runtime: Runtime
  readonly graceMs: number
  readonly intervalMs: number
  readonly departed: (member: MemberKey, at: number) => void
}): Job {
  const { seats, runtime, graceMs, intervalMs, departed } = options
  return {
    name: 'absences',
    intervalMs,
    async step() {
      const ended = await seats.endAbsences({ now: runtime.now(), graceMs, rowsMax: jobRowsMax })
      for (const { meshId, memberId, at } of ended) departed({ meshId, memberId }, at)
      return ended.length >= jobRowsMax
    },
  }
}
