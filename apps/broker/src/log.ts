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

/** Opens `broker.log`: JSON lines, readable by the owner alone. */
export function openLog(options: { readonly path: string; readonly level: LogLevel }): LogFile {
  closeSync(openSync(options.path, 'a', 0o600))
  const destination = pino.destination({ dest: options.path, sync: true })
  const log = pino(
    { level: options.level, base: { pid: process.pid }, timestamp: pino.stdTimeFunctions.isoTime },
    destination,
  )
  return { log, flush: () => destination.flushSync() }
}

/** A log that goes nowhere. */
export function silentLog(): Log {
  return pino({ level: 'silent' })
}
