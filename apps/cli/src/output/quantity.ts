/** Times, durations and sizes as people write and read them. */

/** The local time of an event, to the second: `2026-11-21 07:41:13`. */
export function formatTime(ms: number): string {
  const date = new Date(ms)
  const two = (value: number) => String(value).padStart(2, '0')
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`
}

const units = [
  { symbol: 'd', ms: 86_400_000 },
  { symbol: 'h', ms: 3_600_000 },
  { symbol: 'm', ms: 60_000 },
  { symbol: 's', ms: 1_000 },
] as const

/** The two greatest units of a duration: `3d 4h`, `12s`, `80ms`. */
export function formatDuration(ms: number): string {
  if (ms < 1_000) return `${Math.max(0, Math.round(ms))}ms`
  const first = units.findIndex((unit) => ms >= unit.ms)
  let rest = ms
  const parts: string[] = []
  for (const unit of units.slice(first, first + 2)) {
    const count = Math.floor(rest / unit.ms)
    rest -= count * unit.ms
    if (count > 0) parts.push(`${count}${unit.symbol}`)
  }
  return parts.join(' ')
}

/**
 * Reads `90s`, `15m`, `2h`, `7d`.
 *
 * @returns milliseconds, or null when the text is no duration
 */
export function parseDuration(text: string): number | null {
  const match = /^([0-9]{1,9})(s|m|h|d)$/.exec(text)
  const unit = units.find(({ symbol }) => symbol === match?.[2])
  return match === null || unit === undefined ? null : Number(match[1]) * unit.ms
}

/**
 * Reads a point in time: how long ago (`2h`), an ISO date or time (without a zone: local), or milliseconds.
 *
 * @param now milliseconds since the epoch
 * @returns milliseconds since the epoch, or null when the text is none of these
 */
export function parseTime(text: string, now: number): number | null {
  const ago = parseDuration(text)
  if (ago !== null) return Math.max(0, now - ago)
  if (/^[0-9]{12,15}$/.test(text)) return Number(text)
  if (!/^[0-9]{4}-[0-9]{2}-[0-9]{2}/.test(text)) return null
  // A date alone is the beginning of the local day, as everywhere else in a shell; Date.parse would take it as UTC.
  const at = Date.parse(text.length === 10 ? `${text}T00:00` : text)
  return Number.isNaN(at) ? null : at
}

/** A number of things whose plural ends in s: `1 message`, `2 messages`. */
export function formatCount(count: number, thing: string): string {
  return `${count} ${thing}${count === 1 ? '' : 's'}`
}

const byteUnits = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const

export function formatBytes(bytes: number): string {
  let value = bytes
  let unit = 0
  while (value >= 1024 && unit < byteUnits.length - 1) {
    value /= 1024
    unit += 1
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${byteUnits[unit]}`
}
