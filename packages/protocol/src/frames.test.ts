import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { readBrokerFrame, readDaemonFrame } from './frames.ts'
import { chainLengthMax, frameBytesMax, itemsPerFrameMax } from './limits.ts'

interface Sample {
  readonly type: string
  readonly [member: string]: unknown
}
interface Change {
  readonly type: string
  readonly path: string
  readonly set?: unknown
  readonly remove?: true
}
const vectors = JSON.parse(readFileSync(new URL('../vectors/frames.json', import.meta.url), 'utf8')) as {
  readonly accepted: { readonly daemon: readonly Sample[]; readonly broker: readonly Sample[] }
  readonly rejected: readonly Change[]
}

const directions = [
  { sender: 'daemon', read: readDaemonFrame, other: readBrokerFrame, samples: vectors.accepted.daemon },
  { sender: 'broker', read: readBrokerFrame, other: readDaemonFrame, samples: vectors.accepted.broker },
] as const

/** A copy of a JSON value with the member at a JSON Pointer set or removed. */
function changed(value: unknown, change: Change): unknown {
  const copy: unknown = structuredClone(value)
  const keys = change.path.split('/').slice(1)
  const last = keys.pop() ?? ''
  let parent = copy as Record<string, unknown>
  for (const key of keys) parent = parent[key] as Record<string, unknown>
  if (change.remove === true) delete parent[last]
  else parent[last] = change.set
  return copy
}

/** A long change is named by its beginning. */
function label(change: Change): string {
  return `${change.path} ${change.remove === true ? 'removed' : `set to ${JSON.stringify(change.set).slice(0, 60)}`}`
}

for (const { sender, read, other, samples } of directions) {
  describe(`a frame that a ${sender} sends`, () => {
    test.each(samples)('$type is accepted and comes out as it went in', (sample) => {
      expect(read(JSON.stringify(sample))).toEqual({ ok: true, frame: sample })
    })

    test.each(samples)('$type is refused from the other side', (sample) => {
      expect(other(JSON.stringify(sample))).toMatchObject({ ok: false })
    })

    for (const sample of samples) {
      const changes = vectors.rejected.filter((change) => change.type === sample.type)
      test.each(changes.map((change) => [label(change), change] as const))(
        `${sample.type} with %s is refused`,
        (_, change) => {
          const reading = read(JSON.stringify(changed(sample, change)))
          expect(reading).toEqual({ ok: false, detail: expect.stringContaining(sample.type) })
          if (!reading.ok) expect(reading.detail.length).toBeLessThanOrEqual(512)
        },
      )
    }
  })
}

test('every type of frame has its sample and its refusals', () => {
  const types = [...vectors.accepted.daemon, ...vectors.accepted.broker].map((sample) => sample.type)
  expect(new Set(types).size).toBe(types.length)
  for (const type of types)
    expect(vectors.rejected.filter((change) => change.type === type).length, type).toBeGreaterThan(3)
})

test('a newer broker may add members, a daemon may not', () => {
  const [welcome] = vectors.accepted.broker.filter((sample) => sample.type === 'welcome')
  const [ack] = vectors.accepted.daemon.filter((sample) => sample.type === 'deliver_ack')
  expect(readBrokerFrame(JSON.stringify({ ...welcome, later: 1 })).ok).toBe(true)
  expect(readDaemonFrame(JSON.stringify({ ...ack, later: 1 })).ok).toBe(false)
})

test('a frame has at most 256 items', () => {
  const items = (count: number) =>
    Array.from({ length: count }, (_, index) => ({ delivery_id: `${index}`, outcome: 'stored' }))
  const ack = (count: number) => readDaemonFrame(JSON.stringify({ type: 'deliver_ack', items: items(count) }))
  expect(ack(itemsPerFrameMax).ok).toBe(true)
  expect(ack(itemsPerFrameMax + 1).ok).toBe(false)
})

test('a chain has at most 208 certificates', () => {
  const hello = vectors.accepted.daemon.find((sample) => sample.type === 'hello')
  const [certificate] = (hello as { readonly chain?: readonly unknown[] } | undefined)?.chain ?? []
  const read = (length: number) =>
    readDaemonFrame(JSON.stringify({ ...hello, chain: Array.from({ length }, () => certificate) }))
  expect(read(chainLengthMax).ok).toBe(true)
  expect(read(chainLengthMax + 1).ok).toBe(false)
})

describe('a text that is no frame', () => {
  const deep = '['.repeat(200_000) + ']'.repeat(200_000)
  const rows: { name: string; text: string }[] = [
    { name: 'nothing', text: '' },
    { name: 'no JSON', text: '{"type":"send"' },
    { name: 'null', text: 'null' },
    { name: 'a list', text: '[]' },
    { name: 'a number', text: '1' },
    { name: 'an object without type', text: '{}' },
    { name: 'a type that is no text', text: '{"type":7}' },
    { name: 'a type of hostile depth', text: `{"type":${deep}}` },
    { name: 'hostile depth alone', text: deep },
    {
      name: 'hostile depth where parameters are free',
      text: `{"type":"request","request_id":"r","op":7,"params":{"a":${deep}}}`,
    },
    { name: 'hostile depth in place of an item', text: `{"type":"send","items":${deep}}` },
    { name: 'an unknown type', text: '{"type":"greeting"}' },
    { name: 'a type of another world', text: '{"type":"__proto__"}' },
    { name: 'a very long type', text: JSON.stringify({ type: 'x'.repeat(frameBytesMax) }) },
  ]
  for (const { sender, read } of directions) {
    test.each(rows)(`($name) from a ${sender} is refused with a short reason`, ({ text }) => {
      const reading = read(text)
      expect(reading.ok).toBe(false)
      if (!reading.ok) expect(reading.detail.length).toBeLessThanOrEqual(512)
    })
  }
})

describe('reading never throws', () => {
  for (const { sender, read, samples } of directions) {
    test(`on any text from a ${sender}`, () => {
      fc.assert(fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.json()), (text) => void read(text)))
    })

    test(`on any damage to a frame of a ${sender}`, () => {
      const damage = fc.record({
        sample: fc.constantFrom(...samples),
        at: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        insert: fc.oneof(fc.string(), fc.constantFrom('"', '{', '}', '[', ']', 'null', '1e999', '-1', '""')),
        removed: fc.integer({ min: 0, max: 20 }),
      })
      fc.assert(
        fc.property(damage, ({ sample, at, insert, removed }) => {
          const text = JSON.stringify(sample)
          const position = Math.floor(at * text.length)
          void read(text.slice(0, position) + insert + text.slice(position + removed))
        }),
        { numRuns: 1_000 },
      )
    })

    test(`on any value anywhere in a frame of a ${sender}`, () => {
      const replaced = fc.constantFrom(...samples).chain((sample) =>
        fc.record({
          sample: fc.constant(sample),
          path: fc.constantFrom(...pointersInto(sample)),
          set: fc.oneof(fc.jsonValue(), fc.constantFrom(1e300, -0, Number.MAX_SAFE_INTEGER + 1, '\u0000')),
        }),
      )
      fc.assert(
        fc.property(replaced, ({ sample, path, set }) => {
          const frame = changed(sample, { type: sample.type, path, set })
          const reading = read(JSON.stringify(frame))
          if (reading.ok) expect(reading.frame).toEqual(JSON.parse(JSON.stringify(frame)))
        }),
        { numRuns: 1_000 },
      )
    })
  }
})

function pointersInto(value: unknown, path = ''): string[] {
  if (value === null || typeof value !== 'object') return [path]
  const inner = Object.entries(value).flatMap(([key, child]) => pointersInto(child, `${path}/${key}`))
  return path === '' ? inner : [path, ...inner]
}
