import { LogFile } from '@claudemesh/storage'
import { pino } from 'pino'
import type { LogLevel } from './config.ts'
import { logFileBytesMax, logFilesKept } from './limits.ts'

/** What the broker's parts log with: an event name, and ids beside it. Bodies and secrets have no place in a line. */
export type Log = pino.Logger

/**
 * Opens the log: JSON lines, each written at once. A line that cannot be written is dropped: a broker that serves its members
 * must not end because its log has no room.
 *
 * @param options `path`: of a file that only its owner may read, rotated by size; null: the standard error
 */
export function openLog(options: { readonly path: string | null; readonly level: LogLevel }): Log {
  const { path, level } = options
  return pino(
    { level, base: { pid: process.pid }, timestamp: pino.stdTimeFunctions.isoTime },
    path === null ? standardError() : new LogFile({ path, bytesMax: logFileBytesMax, filesKept: logFilesKept }),
  )
}

function standardError(): pino.DestinationStream {
  // Nobody reads any more, or the file behind it has no room.
  process.stderr.on('error', () => undefined)
  return { write: (line) => void process.stderr.write(line) }
}

/** A log that goes nowhere. */
export function silentLog(): Log {
  return pino({ level: 'silent' })
}
