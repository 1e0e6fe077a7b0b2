/** The fold (07 §5) against a model that is as simple as it is slow, and what is asked of a state. */
import {
  type DecisionEvent,
  decodeSnapshot,
  encodeEvent,
  encodeSnapshot,
  findNotes,
  fold,
  MemoryDecisionLog,
  mergePatch,
  overlaid,
  representativeOf,
  resolveName,
  stateAt,
  why,
} from '@claudemesh/decisions'
import type { DecisionDraft, JsonValue } from '@claudemesh/protocol'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { line, names, value } from './sample-events.ts'

const runs = { numRuns: 1_000 }

test('every generated event is one that a log takes', () => {
  fc.assert(
    fc.property(line, (events) => {
      for (const event of events) encodeEvent(event)
    }),
    { numRuns: 200 },
  )
})

test('the state of each key is the last one set, with the event that decided it and every one before', () => {
  fc.assert(
    fc.property(line, (events) => {
      const { state, history, seq } = fold(events)
      expect(seq).toBe(events.length)
      const about = (key: string) => events.filter((event) => event.kind === 'state' && event.payload.key === key)
      for (const key of names) {
        const last = about(key).at(-1)
        const expected =
          last?.kind === 'state' && last.payload.value !== null ? provenance(last, last.payload.value) : undefined
        expect(own(state, key)).toEqual(expected)
        expect(own(history, key) ?? []).toEqual(about(key).map((event) => event.seq))
      }
    }),
    runs,
  )
})

test('groups are what the bindings that hold connect, by the smallest member', () => {
  fc.assert(
    fc.property(line, (events) => {
      const state = fold(events)
      const holding = events.filter(
        (event) =>
          event.kind === 'binding' &&
          !events.some(
            (other) => other.kind === 'unbinding' && other.seq > event.seq && other.payload.event_id === event.event_id,
          ),
      )
      expect(state.bindings.map(({ seq }) => seq)).toEqual(holding.map(({ seq }) => seq))
      for (const name of names) {
        const connected = new Set<string>([name])
        for (let size = 0; size < connected.size; ) {
          size = connected.size
          for (const { kind, payload } of holding) {
            if (kind !== 'binding' || !(connected.has(payload.a) || connected.has(payload.b))) continue
            connected.add(payload.a).add(payload.b)
          }
        }
        const members = [...connected].sort()
        expect(representativeOf(state, name)).toBe(members[0])
        expect(own(state.groups, members[0] as string) ?? [name]).toEqual(members)
      }
    }),
    runs,
  )
})

test('an overlaid target is what every patch in turn makes of it, whatever it is', () => {
  fc.assert(
    fc.property(line, value, (events, target) => {
      const state = fold(events)
      for (const name of names) {
        const about = events.flatMap((event) =>
          event.kind === 'overlay' && event.payload.target === name ? [event.payload] : [],
        )
        const patched = about.reduce<JsonValue>(
          (before, payload) => ('patch' in payload ? mergePatch(before, payload.patch) : before),
          target,
        )
        expect(overlaid(state, name, target)).toEqual(patched)
        const text = about.findLast((payload) => 'text' in payload)
        expect(own(state.overlays, name)?.text).toBe(text !== undefined && 'text' in text ? text.text : undefined)
      }
    }),
    runs,
  )
})

test('an alias is the last one that closes no circle', () => {
  fc.assert(
    fc.property(line, (events) => {
      const targets = new Map<string, string>()
      const leadsTo = (from: string, to: string): boolean =>
        from === to || (targets.has(from) && leadsTo(targets.get(from) as string, to))
      for (const { kind, payload } of events) {
        if (kind === 'alias' && !leadsTo(payload.target, payload.name)) targets.set(payload.name, payload.target)
      }
      const state = fold(events)
      const follow = (name: string): string => (targets.has(name) ? follow(targets.get(name) as string) : name)
      for (const name of names) {
        expect(own(state.aliases, name)?.target).toBe(targets.get(name))
        expect(resolveName(state, name)).toBe(follow(name))
      }
    }),
    runs,
  )
})

test('merges, forks and notes are all there, in order', () => {
  fc.assert(
    fc.property(line, (events) => {
      const { merges, forks, notes } = fold(events)
      const kept = [...merges, ...forks, ...notes].sort((left, right) => left.seq - right.seq)
      expect(kept).toEqual(
        events
          .filter(({ kind }) => ['merge', 'fork', 'note'].includes(kind))
          .map((event) => ({ ...event.payload, ...decisionOf(event) })),
      )
    }),
    runs,
  )
})

test('a fold that goes on from a snapshot at any event has the bytes of one from the start', () => {
  fc.assert(
    fc.property(line, fc.nat(), (events, cut) => {
      const at = events.length === 0 ? 0 : cut % (events.length + 1)
      const snapshot = encodeSnapshot(fold(events.slice(0, at)))
      const read = decodeSnapshot(snapshot)
      expect(read).not.toBeNull()
      const went = fold(events.slice(at), read ?? undefined)
      expect(encodeSnapshot(went).equals(encodeSnapshot(fold(events)))).toBe(true)
    }),
    runs,
  )
})

test('a snapshot that is cut, of another version or of another form is not read', () => {
  const bytes = encodeSnapshot(fold([]))
  expect(decodeSnapshot(bytes)).toEqual(fold([]))
  for (let length = 0; length < bytes.length - 1; length += 1)
    expect(decodeSnapshot(bytes.subarray(0, length))).toBeNull()
  expect(decodeSnapshot(Buffer.from(bytes.toString().replace('"version":1', '"version":2')))).toBeNull()
  expect(decodeSnapshot(Buffer.from(bytes.toString().replace('"notes":[]', '"notes":{}')))).toBeNull()
  expect(decodeSnapshot(Buffer.from('null\n'))).toBeNull()
})

test('a fold refuses a gap and a repeated event', () => {
  const events = [noteAt(1), noteAt(2), noteAt(3)]
  expect(() => fold([events[0], events[2]] as DecisionEvent[])).toThrow(expect.objectContaining({ code: 'log_gap' }))
  expect(() => fold([events[0], events[0]] as DecisionEvent[])).toThrow(expect.objectContaining({ code: 'log_gap' }))
  expect(() => fold([events[2]] as DecisionEvent[], fold(events))).toThrow(expect.objectContaining({ code: 'log_gap' }))
})

test('a state that was given out does not change with later events', () => {
  fc.assert(
    fc.property(line, line, (before, after) => {
      const state = fold(before)
      const bytes = encodeSnapshot(state)
      fold(
        after.map((event, index) => ({ ...event, seq: before.length + index + 1 })),
        state,
      )
      expect(encodeSnapshot(state).equals(bytes)).toBe(true)
    }),
    { numRuns: 200 },
  )
})

test('why tells every decision behind a key, by any of its names, and the state is known at any event', async () => {
  const log = new MemoryDecisionLog()
  const actor = 'Ada'
  const drafts: readonly DecisionDraft[] = [
    { kind: 'state', actor, payload: { key: 'db', value: 'sqlite' } },
    { kind: 'state', actor, payload: { key: 'other', value: 1 } },
    { kind: 'alias', actor, payload: { name: 'database', target: 'db' } },
    { kind: 'alias', actor, payload: { name: 'store', target: 'database' } },
    { kind: 'state', actor, payload: { key: 'db', value: null } },
    { kind: 'binding', actor, payload: { a: 'db', b: 'registry' } },
    { kind: 'state', actor, payload: { key: 'db', value: 'postgres' } },
    { kind: 'note', actor, payload: { text: 'Outgrew one FILE', refs: ['db'] } },
    { kind: 'overlay', actor, payload: { target: 'db', patch: { host: 'h' } } },
  ]
  await log.append('plans', drafts, { intentId: 'all' })
  const state = await stateAt(log, 'plans', 9)
  const reasons = await why(log, 'plans', { key: 'store', state })
  expect([reasons.key, reasons.value]).toEqual(['db', 'postgres'])
  expect(reasons.decisions.map(({ seq }) => seq)).toEqual([1, 3, 4, 5, 6, 7, 9])
  const past = await stateAt(log, 'plans', 5)
  expect(past.state).toEqual({ other: expect.objectContaining({ value: 1 }) })
  expect(await why(log, 'plans', { key: 'db', state: past })).toEqual({
    key: 'db',
    decisions: [expect.objectContaining({ seq: 1 }), expect.objectContaining({ seq: 5 })],
  })
  expect(await why(log, 'plans', { key: 'nothing', state })).toEqual({ key: 'nothing', decisions: [] })
  expect((await stateAt(log, 'plans', 0)).state).toEqual({})
  await expect(stateAt(log, 'plans', 10)).rejects.toMatchObject({ code: 'invalid_cursor', data: { head: 9 } })
  expect(findNotes(state, 'file  DB').map(({ seq }) => seq)).toEqual([8])
  expect(findNotes(state, 'file sqlite')).toEqual([])
})

function noteAt(seq: number): DecisionEvent {
  const event_id = `01K0000000000000000000000${seq}`
  const ts = '2026-01-01T00:00:00.000Z'
  return {
    space: 'plans',
    seq,
    event_id,
    intent_id: `i${seq}`,
    kind: 'note',
    actor: 'Ada',
    ts,
    payload: { text: '', refs: [] },
  }
}

function decisionOf({ seq, event_id, actor, ts }: DecisionEvent) {
  return { seq, event_id, actor, ts }
}

function provenance(event: DecisionEvent, decided: JsonValue) {
  return { value: decided, ...decisionOf(event) }
}

function own<Value>(record: Readonly<Record<string, Value>>, key: string): Value | undefined {
  return Object.hasOwn(record, key) ? record[key] : undefined
}
