/** When a sink runs: five fields of cron, in UTC. */
import { Cron } from 'croner'

export interface Schedule {
  /** The first time after `now` that fits, both in milliseconds since the epoch; null when there is none ever. */
  next(now: number): number | null
}

/** @returns null when the text is no expression of five fields */
export function parseSchedule(expression: string): Schedule | null {
  try {
    const cron = new Cron(expression, { mode: '5-part', timezone: 'UTC', paused: true })
    return { next: (now) => cron.nextRun(new Date(now))?.getTime() ?? null }
  } catch {
    // What the parser objects to is told by whoever reads the setting, which has the place.
    return null
  }
}
