/** The daemon's log for people: one line per event, JSON turned into words. */
import { printable } from './output/printable.ts'
import { formatTime } from './output/quantity.ts'

/** Members that a line says by itself or that say nothing to a person. */
const leftOut = new Set(['level', 'time', 'pid', 'hostname', 'version', 'subsystem', 'event', 'msg'])

/** `2026-11-21 07:41:13 WARN link connect_failed attempts=3`; a line that is no JSON object stays as it is. */
export function formatLogLine(line: string): string {
  const entry = parseObject(line)
  if (entry === null) return printable(line)
  const time = typeof entry['time'] === 'string' || typeof entry['time'] === 'number' ? new Date(entry['time']) : null
  const facts = Object.entries(entry).flatMap(([name, value]) =>
    leftOut.has(name) ? [] : [`${name}=${valueText(value)}`],
  )
  const words = [
    time === null || Number.isNaN(time.getTime()) ? null : formatTime(time.getTime()),
    String(entry['level'] ?? '').toUpperCase(),
    entry['subsystem'],
    entry['event'] ?? entry['msg'],
    ...facts,
  ]
  return printable(words.filter((word) => word !== null && word !== undefined && word !== '').join(' '))
}

/** Errors are logged as objects: their own text is what a person looks for. */
function valueText(value: unknown): string {
  if (typeof value === 'object' && value !== null && 'detail' in value && typeof value.detail === 'string') {
    return JSON.stringify(value.detail)
  }
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  return /\s/.test(text) && typeof value === 'string' ? JSON.stringify(text) : text
}

function parseObject(line: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(line)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : null
  } catch {
    // Something that was written before the log was open, or by Node itself.
    return null
  }
}
