import pino from 'pino'

/** A log that nobody reads. */
export function silentLog(): pino.Logger {
  return pino({ level: 'silent' })
}

/** A log of whose lines only the names of their events are kept. */
export function countingLog(): { readonly log: pino.Logger; readonly lines: readonly string[] } {
  const lines: string[] = []
  const log = pino(
    { level: 'warn' },
    { write: (line: string) => lines.push((JSON.parse(line) as { msg: string }).msg) },
  )
  return { log, lines }
}
