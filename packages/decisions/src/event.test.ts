import { MeshError } from '@claudemesh/protocol'
import { describe, expect, test } from 'vitest'
import { copyDraft, type DecisionEvent, decodeEvent, draftOf, encodeEvent } from './event.ts'

const base = {
  space: 'plans',
  seq: 1,
  event_id: '01K00000000000000000000000',
  intent_id: 'i-1',
  actor: 'Ada',
  ts: '2026-01-02T03:04:05.678Z',
} as const

const examples: readonly DecisionEvent[] = [
  { ...base, kind: 'overlay', payload: { target: 'doc', patch: { b: null, a: [1.5, 'é'] } } },
  { ...base, kind: 'overlay', payload: { target: 'doc', patch: null } },
  { ...base, kind: 'overlay', payload: { target: 'doc', text: 'not any more' } },
  { ...base, kind: 'binding', payload: { a: 'x', b: 'y', relation: 'same service' } },
  { ...base, kind: 'unbinding', payload: { event_id: base.event_id } },
  { ...base, kind: 'alias', payload: { name: 'n', target: 't' } },
  { ...base, kind: 'merge', payload: { from: ['a', 'b'], into: 'c', strategy: 'by hand' } },
  { ...base, kind: 'fork', payload: { from_space: 'other', from_seq: 0, reason: 'r' } },
  { ...base, kind: 'state', payload: { key: 'k', value: { z: 1e21, '10': 1, '9': 2, __proto__x: true } } },
  { ...base, kind: 'state', payload: { key: 'k', value: null }, sig: 'A'.repeat(86) },
  { ...base, kind: 'note', payload: { text: 'n', refs: ['01K'], origin: { space: 'other', seq: 7 } } },
]

function codeOf(run: () => unknown): string {
  try {
    run()
  } catch (error) {
    if (error instanceof MeshError) return error.code
    throw error
  }
  return 'nothing was thrown'
}

describe('an event', () => {
  test.each(examples)('of kind $kind comes back from its bytes, and they from it', (event) => {
    const bytes = encodeEvent(event)
    expect(decodeEvent(bytes)).toEqual(event)
    expect(encodeEvent(decodeEvent(bytes))).toEqual(bytes)
  })

  test('is canonical JSON and one newline', () => {
    expect(encodeEvent(examples[5] as DecisionEvent).toString()).toBe(
      '{"actor":"Ada","event_id":"01K00000000000000000000000","intent_id":"i-1","kind":"alias",' +
        '"payload":{"name":"n","target":"t"},"seq":1,"space":"plans","ts":"2026-01-02T03:04:05.678Z"}\n',
    )
  })

  test('has the same bytes whatever order its members were given in', () => {
    const reversed = (value: object) => Object.fromEntries(Object.entries(value).reverse())
    for (const event of examples) {
      const other = reversed({ ...event, payload: reversed(event.payload) }) as unknown as DecisionEvent
      expect(encodeEvent(other)).toEqual(encodeEvent(event))
    }
  })

  test('keeps a key of any name', () => {
    const value = JSON.parse('{"__proto__":{"a":1},"constructor":2}')
    const bytes = encodeEvent({ ...base, kind: 'state', payload: { key: 'k', value } })
    expect(JSON.stringify(decodeEvent(bytes))).toContain('"__proto__":{"a":1}')
  })

  const text = encodeEvent(examples[8] as DecisionEvent).toString()
  const rows: readonly { what: string; bytes: string | Buffer; code: string }[] = [
    { what: 'no newline', bytes: text.trimEnd(), code: 'decision_not_canonical' },
    { what: 'two newlines', bytes: `${text}\n`, code: 'decision_not_canonical' },
    { what: 'a space', bytes: text.replace(':', ': '), code: 'decision_not_canonical' },
    {
      what: 'another order',
      bytes: text.replace(/^{("actor":"Ada"),(.*)}\n$/, '{$2,$1}\n'),
      code: 'decision_not_canonical',
    },
    { what: 'a member twice', bytes: text.replace('{', '{"actor":"Ada",'), code: 'decision_not_canonical' },
    { what: 'a longer number', bytes: text.replace('"seq":1', '"seq":1.0'), code: 'decision_not_canonical' },
    { what: 'a longer escape', bytes: text.replace('Ada', '\\u0041da'), code: 'decision_not_canonical' },
    { what: 'a byte order mark', bytes: `\uFEFF${text}`, code: 'decision_not_canonical' },
    { what: 'bytes that are no text', bytes: Buffer.from([0x7b, 0xff, 0x7d]), code: 'decision_not_canonical' },
    { what: 'half of itself', bytes: text.slice(0, 40), code: 'decision_not_canonical' },
    { what: 'another value', bytes: 'null\n', code: 'invalid_decision' },
    { what: 'a list', bytes: '[]\n', code: 'decision_kind_unknown' },
    { what: 'an unknown kind', bytes: text.replace('"kind":"state"', '"kind":"edict"'), code: 'decision_kind_unknown' },
    {
      what: 'a member of objects as kind',
      bytes: text.replace('"state"', '"toString"'),
      code: 'decision_kind_unknown',
    },
    { what: 'one member more', bytes: text.replace('"seq":1', '"seq":1,"seqs":1'), code: 'invalid_decision' },
    { what: 'a member less', bytes: text.replace('"seq":1,', ''), code: 'invalid_decision' },
    { what: 'the payload of another kind', bytes: text.replace('"state"', '"note"'), code: 'invalid_decision' },
    { what: 'number 0', bytes: text.replace('"seq":1', '"seq":0'), code: 'invalid_decision' },
    { what: 'half a number', bytes: text.replace('"seq":1', '"seq":1.5'), code: 'invalid_decision' },
    { what: 'a bad name of a space', bytes: text.replace('plans', 'Plans'), code: 'invalid_decision' },
    { what: 'a day that is not', bytes: text.replace('01-02T', '02-30T'), code: 'invalid_decision' },
    { what: 'seconds alone', bytes: text.replace('.678Z', 'Z'), code: 'invalid_decision' },
    { what: 'another zone', bytes: text.replace('.678Z', '.678+00:00'), code: 'invalid_decision' },
    { what: 'a small letter in its id', bytes: text.replace('01K', '01k'), code: 'invalid_decision' },
    { what: 'an actor of two lines', bytes: text.replace('Ada', 'A\\nda'), code: 'invalid_decision' },
    { what: 'U+0000', bytes: text.replace('"key":"k"', '"key":"\\u0000"'), code: 'decision_inexact' },
    { what: 'half a character', bytes: text.replace('"key":"k"', '"key":"\\ud800"'), code: 'decision_inexact' },
    { what: 'a number beyond all', bytes: text.replace('1e+21', '1e+999'), code: 'decision_inexact' },
    {
      what: 'a number that no double is',
      bytes: text.replace('1e+21', '12345678901234567890'),
      code: 'decision_not_canonical',
    },
    { what: 'a negative zero', bytes: text.replace('1e+21', '-0'), code: 'decision_not_canonical' },
    {
      what: 'a large value',
      bytes: text.replace('"key":"k"', `"key":"k","value":"${'x'.repeat(300_000)}"`),
      code: 'decision_too_large',
    },
    { what: 'a deep value', bytes: text.replace('1e+21', '['.repeat(70) + ']'.repeat(70)), code: 'decision_inexact' },
    {
      what: 'a very deep value',
      bytes: text.replace('1e+21', '['.repeat(99_999) + ']'.repeat(99_999)),
      code: 'decision_inexact',
    },
  ]
  test.each(rows)('with $what is refused with $code', ({ bytes, code }) => {
    expect(codeOf(() => decodeEvent(Buffer.from(bytes)))).toBe(code)
  })
})

describe('a draft', () => {
  test('is what an event was made from', () => {
    for (const event of examples.slice(0, -1)) {
      const draft = draftOf(event)
      expect(copyDraft(draft)).toEqual(draft)
      expect({ ...base, ...draft }).toEqual(event)
    }
  })

  test('has no origin, number or time of its own', () => {
    const draft = draftOf(examples[9] as DecisionEvent)
    for (const more of [
      { seq: 1 },
      { ts: base.ts },
      { intent_id: 'i' },
      { event_id: base.event_id },
      { space: 'plans' },
    ]) {
      expect(codeOf(() => copyDraft({ ...draft, ...more }))).toBe('invalid_decision')
    }
    expect(codeOf(() => copyDraft(draftOf(examples.at(-1) as DecisionEvent)))).toBe('invalid_decision')
  })

  test('with what JSON would drop or change is refused', () => {
    const cyclic: Record<string, unknown> = {}
    cyclic['again'] = cyclic
    const hidden = Object.defineProperty([1], 'more', { value: 1, enumerable: true })
    const values = [
      undefined,
      Number.NaN,
      -0,
      1n,
      () => 1,
      Symbol.iterator,
      new Date(),
      new Map([[1, 2]]),
      cyclic,
      hidden,
      { toJSON: () => 1 },
    ]
    for (const value of values) {
      const payload = { key: 'k', value }
      expect(codeOf(() => copyDraft({ kind: 'state', actor: 'Ada', payload } as never))).toMatch(
        /decision_inexact|invalid_decision/,
      )
    }
  })
})
