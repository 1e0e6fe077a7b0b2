import { closeSync, openSync } from 'node:fs'
import { pino } from 'pino'
import type { LogLevel } from './config.ts'

/** What the broker's parts log with: an event name, and ids beside it. Bodies and secrets have no place in a line. */
export type Log = pino.Logger

export interface LogFile {
  readonly log: Log
  /** Writes what is still in memory. To be called before the process ends. */
  flush(): void
}

/**
 * Opens the log: JSON lines.
 *
 * @param options `path`: of a file that only its owner may read; null: the standard error
 */
export function openLog(options: { readonly path: string | null; readonly level: LogLevel }): LogFile {
  const destination = pino.destination({ dest: openDestination(options.path), sync: true })
  const log = pino(
    { level: options.level, base: { pid: process.pid }, timestamp: pino.stdTimeFunctions.isoTime },
    destination,
  )
  return { log, flush: () => destination.flushSync() }
}

function openDestination(path: string | null): string | number {
  if (path === null) return process.stderr.fd
  closeSync(openSync(path, 'a', 0o600))
  return path
}

/** A log that goes nowhere. */
export function silentLog(): Log {
  return pino({ level: 'silent' })
}
