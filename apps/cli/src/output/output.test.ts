import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { oneLine, printable } from './printable.ts'
import { formatBytes, formatCount, formatDuration, parseDuration, parseTime } from './quantity.ts'
import { fitWidths, renderTable } from './table.ts'
import { type OutputStream, Terminal, wantsColour } from './terminal.ts'
import { displayWidth, truncate } from './width.ts'

const widths: readonly { text: string; width: number }[] = [
  { text: '', width: 0 },
  { text: 'plain', width: 5 },
  { text: 'größe', width: 5 },
  { text: 'e\u0301', width: 1 },
  { text: '東京', width: 4 },
  { text: '👍🏽', width: 2 },
  { text: '👨‍👩‍👧', width: 2 },
  { text: '\u200b', width: 0 },
]

describe('the width of a text', () => {
  for (const { text, width } of widths) {
    test(`${JSON.stringify(text)} takes ${width} columns`, () => {
      expect(displayWidth(text)).toBe(width)
    })
  }

  test('is never more than asked for after a cut, and a text that fits is not cut', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.nat(40), (text, width) => {
        expect(displayWidth(truncate(text, width))).toBeLessThanOrEqual(width)
        if (displayWidth(text) <= width) expect(truncate(text, width)).toBe(text)
      }),
    )
  })
})

const rows = [
  { id: '01JD', text: 'short' },
  { id: '01JE', text: 'a text that is longer than the terminal is wide, by far' },
]
const columns = [
  { title: 'ID', cell: (row: (typeof rows)[number]) => row.id },
  { title: 'TEXT', cell: (row: (typeof rows)[number]) => row.text, flexible: true },
]
const plain = (text: string) => text

describe('a table', () => {
  test('fits the terminal', () => {
    expect(renderTable(columns, rows, { width: 24, paintTitle: plain })).toEqual([
      'ID    TEXT',
      '01JD  short',
      '01JE  a text that is lo…',
    ])
  })

  test('is not cut where there is no terminal', () => {
    expect(renderTable(columns, rows, { width: null, paintTitle: plain })[2]).toContain('by far')
  })

  test('has no lines without rows', () => {
    expect(renderTable(columns, [], { width: 80, paintTitle: plain })).toEqual([])
  })

  test('keeps the columns that are not flexible, however narrow the terminal is', () => {
    expect(fitWidths({ natural: [26, 60], flexible: [false, true], width: 10 })).toEqual([26, 8])
  })

  test('takes from the widest flexible column first', () => {
    expect(fitWidths({ natural: [10, 30, 50], flexible: [false, true, true], width: 74 })).toEqual([10, 30, 30])
  })
})

describe('text of others', () => {
  test('cannot move the cursor, ring, or turn the line around', () => {
    expect(printable('\u001b[2J\u0007\u009b\u202ea\tb\nc')).toBe('\\x1b[2J\\x07\\x9b\\u202ea\tb\nc')
  })

  test('is one line where one line is asked for', () => {
    expect(oneLine('  a\n\tb\r\nc  ')).toBe('a b c')
  })

  test('never contains a control character afterwards', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(/\p{Cc}/u.test(printable(text).replace(/[\t\n]/g, ''))).toBe(false)
      }),
    )
  })
})

const durations: readonly { text: string; ms: number | null }[] = [
  { text: '90s', ms: 90_000 },
  { text: '15m', ms: 900_000 },
  { text: '2h', ms: 7_200_000 },
  { text: '7d', ms: 604_800_000 },
  { text: '7', ms: null },
  { text: '-1h', ms: null },
  { text: '1.5h', ms: null },
  { text: '1w', ms: null },
]

describe('a duration', () => {
  for (const { text, ms } of durations) {
    test(`${text} is ${ms} ms`, () => {
      expect(parseDuration(text)).toBe(ms)
    })
  }
  test('is shown by its two greatest units', () => {
    expect([80, 12_000, 3_600_000, 273_600_000, 93_000].map(formatDuration)).toEqual([
      '80ms',
      '12s',
      '1h',
      '3d 4h',
      '1m 33s',
    ])
  })
})

const now = Date.UTC(2026, 10, 21, 8)
const times: readonly { text: string; at: number | null }[] = [
  { text: '2h', at: now - 7_200_000 },
  { text: String(now), at: now },
  { text: '2026-11-21T08:00:00Z', at: now },
  { text: '2026-11-21', at: new Date(2026, 10, 21).getTime() },
  { text: '2026-11-21T08:00', at: new Date(2026, 10, 21, 8).getTime() },
  { text: '2026-13-45', at: null },
  { text: 'yesterday', at: null },
  { text: '12', at: null },
]

describe('a point in time', () => {
  for (const { text, at } of times) {
    test(`${text} is ${at}`, () => {
      expect(parseTime(text, now)).toBe(at)
    })
  }
})

test('sizes are shown in binary units', () => {
  expect([0, 1023, 1024, 1536, 150 * 1024, 3 * 1024 ** 3].map(formatBytes)).toEqual([
    '0 B',
    '1023 B',
    '1.0 KiB',
    '1.5 KiB',
    '150 KiB',
    '3.0 GiB',
  ])
})

function recorder(isTTY: boolean): OutputStream & { text: string } {
  const stream = {
    isTTY,
    columns: 80,
    text: '',
    write(text: string) {
      stream.text += text
    },
  }
  return stream
}

const colours = [
  { wish: 'auto', isTTY: true, colour: true },
  { wish: 'auto', isTTY: false, colour: false },
  { wish: 'always', isTTY: false, colour: true },
  { wish: 'never', isTTY: true, colour: false },
] as const

describe('the terminal', () => {
  for (const { wish, isTTY, colour } of colours) {
    test(`${wish} on ${isTTY ? 'a terminal' : 'a pipe'}: ${colour ? 'colour' : 'no colour'}`, () => {
      expect(wantsColour(wish, recorder(isTTY))).toBe(colour)
    })
  }

  test('decides colour for each stream by itself', () => {
    const terminal = new Terminal({ stdout: recorder(false), stderr: recorder(true), json: false, colour: 'auto' })
    expect(terminal.paint('red', 'x')).toBe('x')
    expect(terminal.paintNote('red', 'x')).not.toBe('x')
  })

  test('prints one document with --json and lines without', () => {
    const printing = { value: { a: 1 }, render: () => ['one', 'two'] }
    const outputs = [true, false].map((json) => {
      const stdout = recorder(false)
      new Terminal({ stdout, stderr: recorder(false), json, colour: 'auto' }).print(printing)
      return stdout.text
    })
    expect(outputs).toEqual(['{"a":1}\n', 'one\ntwo\n'])
  })

  test('prints each item of a stream on one line, also for a person who reads JSON', () => {
    const stdout = recorder(true)
    const terminal = new Terminal({ stdout, stderr: recorder(true), json: true, colour: 'auto' })
    terminal.printItem({ value: { a: { b: 1 } }, render: () => [] })
    expect(stdout.text).toBe('{"a":{"b":1}}\n')
  })
})

const counts: readonly { count: number; text: string }[] = [
  { count: 0, text: '0 messages' },
  { count: 1, text: '1 message' },
  { count: 2, text: '2 messages' },
]

describe('a number of things', () => {
  for (const { count, text } of counts) {
    test(`is ${text}`, () => {
      expect(formatCount(count, 'message')).toBe(text)
    })
  }
})
