import pino from 'pino'

/** A log whose lines are kept. */
export function recordingLog(level: 'trace' | 'info' = 'info'): {
  readonly log: pino.Logger
  readonly lines: readonly Record<string, unknown>[]
} {
  const lines: Record<string, unknown>[] = []
  const log = pino({ level }, { write: (line: string) => lines.push(JSON.parse(line)) })
  return { log, lines }
}
