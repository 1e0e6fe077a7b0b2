import { describe, expect, test } from 'vitest'
import { formatLogLine } from './log-lines.ts'
import { formatTime } from './output/quantity.ts'

const at = '2026-11-21T07:41:13.000Z'
const shown = formatTime(Date.parse(at))

const lines: readonly { name: string; line: string; shows: string }[] = [
  {
    name: 'an event with ids',
    line: JSON.stringify({ level: 'warn', time: at, pid: 7, subsystem: 'link', event: 'connect_failed', attempts: 3 }),
    shows: `${shown} WARN link connect_failed attempts=3`,
  },
  {
    name: 'an error by its detail',
    line: JSON.stringify({
      level: 'error',
      time: at,
      msg: 'failed',
      err: { name: 'E', detail: 'disk full', stack: 'x' },
    }),
    shows: `${shown} ERROR failed err="disk full"`,
  },
  { name: 'what is no JSON', line: 'Segmentation fault', shows: 'Segmentation fault' },
  { name: 'JSON that is no object', line: '[1]', shows: '[1]' },
  { name: 'control characters', line: '\u001b[2Jgone', shows: '\\x1b[2Jgone' },
]

describe('a line of the log', () => {
  for (const { name, line, shows } of lines) {
    test(`shows ${name}`, () => {
      expect(formatLogLine(line)).toBe(shows)
    })
  }
})
