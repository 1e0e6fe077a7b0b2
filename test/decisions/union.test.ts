/** The laws of a union of two logs of one origin (07 §6). */
import { type DecisionEvent, encodeEvent, fold, MemoryDecisionLog, union } from '@claudemesh/decisions'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { diverged, line } from './sample-events.ts'

const runs = { numRuns: 500 }

describe('a union', () => {
  test('has every event of both, in an order that keeps that of each', () => {
    fc.assert(
      fc.property(diverged, ({ left, right }) => {
        const united = union(left, right)
        expect(new Set(united.map(content))).toEqual(new Set([...left, ...right].map(content)))
        expect(united.length).toBe(new Set(united.map(({ event_id }) => event_id)).size)
        for (const side of [left, right]) {
          const ids = new Set(side.map(({ event_id }) => event_id))
          expect(united.filter(({ event_id }) => ids.has(event_id)).map(content)).toEqual(side.map(content))
        }
      }),
      runs,
    )
  })

  test('is the same whichever is first, and however often it is done', () => {
    fc.assert(
      fc.property(diverged, ({ left, right }) => {
        const united = union(left, right)
        const same = bytes(united)
        expect(bytes(union(right, left))).toBe(same)
        for (const again of [left, right, united, [], left.slice(0, 3)]) {
          expect(bytes(union(united, again))).toBe(same)
          expect(bytes(union(again, united))).toBe(same)
        }
      }),
      runs,
    )
  })

  test('of three is the same in any order', () => {
    fc.assert(
      fc.property(diverged, ({ left, right, third }) => {
        const same = bytes(union(union(left, right), third)).replaceAll(origins, '')
        expect(bytes(union(left, union(right, third))).replaceAll(origins, '')).toBe(same)
        expect(bytes(union(union(third, left), right)).replaceAll(origins, '')).toBe(same)
      }),
      runs,
    )
  })

  test('is a log that others take and fold, and of what moved it says where it stood', async () => {
    await fc.assert(
      fc.asyncProperty(diverged, async ({ left, right }) => {
        const united = union(left, right)
        const log = new MemoryDecisionLog()
        expect(await log.importEvents('plans', from(united))).toBe(united.length)
        expect(fold(united).seq).toBe(united.length)
        const common = left.findIndex(({ event_id }, index) => right[index]?.event_id !== event_id)
        for (const [index, { event_id, payload }] of united.entries()) {
          const { origin } = payload
          if (origin === undefined) continue
          expect(index).toBeGreaterThanOrEqual(common)
          const stood = [left, right].map((side) => side[origin.seq - 1]?.event_id)
          expect([origin.space, stood.includes(event_id)]).toEqual(['plans', true])
        }
        const moved = united.filter(({ payload }) => payload.origin !== undefined).length
        const isDiverged = ![left, right].some((side) => side.length === common || common === -1)
        expect(moved).toBe(isDiverged ? united.length - common : 0)
      }),
      runs,
    )
  })

  test('of a log and what it begins with is that log as it is', () => {
    fc.assert(
      fc.property(line, fc.nat(), (events, cut) => {
        const begin = events.slice(0, cut % (events.length + 1))
        expect(bytes(union(events, begin))).toBe(bytes(events))
        expect(bytes(union(begin, events))).toBe(bytes(events))
      }),
      runs,
    )
  })

  test('of logs that say different things under one id is refused, as of different spaces', () => {
    const [logs] = fc.sample(
      diverged.filter(({ left }) => left.length > 0),
      1,
    )
    const event = logs?.left[0] as DecisionEvent
    const conflict = expect.objectContaining({ code: 'import_conflict' })
    expect(() => union([event], [{ ...event, actor: 'somebody else' }])).toThrow(conflict)
    expect(() => union([event], [{ ...event, space: 'other' }])).toThrow(conflict)
  })
})

const origins = /"origin":\{[^}]*\},?/g

function bytes(events: readonly DecisionEvent[]): string {
  return events.map((event) => encodeEvent(event).toString()).join('')
}

/** All of an event but where it stands. */
function content({ seq: _, ...event }: DecisionEvent): string {
  const { origin: __, ...payload } = event.payload
  return JSON.stringify([event.event_id, event.kind, event.actor, event.ts, event.intent_id, payload])
}

async function* from(events: readonly DecisionEvent[]): AsyncGenerator<DecisionEvent> {
  yield* events
}
