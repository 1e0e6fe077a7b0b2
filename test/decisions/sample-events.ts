/** Lines of events of every kind, over few names, so that they meet. */
import type { DecisionEvent } from '@claudemesh/decisions'
import type { DecisionPayload, JsonValue } from '@claudemesh/protocol'
import fc from 'fast-check'

export const names = ['a', 'b', 'c', '__proto__', 'toString', '10', '9'] as const
const name = fc.constantFrom(...names)

/** A value of JSON that meets others. */
export const { value } = fc.letrec<{ value: JsonValue }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    fc.constantFrom<JsonValue>(null, true, 0.5, 'x', [null]),
    fc.dictionary(name, tie('value'), { maxKeys: 3, noNullPrototype: true }) as fc.Arbitrary<JsonValue>,
  ),
}))

type Choice = { kind: DecisionEvent['kind']; payload: DecisionPayload } | { kind: 'unbinding'; nth: number }

const choice: fc.Arbitrary<Choice> = fc.oneof(
  of('state', fc.record({ key: name, value })),
  of('overlay', fc.oneof(fc.record({ target: name, patch: value }), fc.record({ target: name, text: fc.string() }))),
  of('binding', fc.record({ a: name, b: name, relation: fc.string() }, { requiredKeys: ['a', 'b'] })),
  fc.record({ kind: fc.constant('unbinding' as const), nth: fc.nat({ max: 40 }) }),
  of('alias', fc.record({ name, target: name })),
  of('merge', fc.record({ from: fc.array(name, { minLength: 1 }), into: name, strategy: fc.string() })),
  of('fork', fc.record({ from_space: fc.constant('other'), from_seq: fc.nat(), reason: fc.string() })),
  of('note', fc.record({ text: fc.string(), refs: fc.array(fc.string()) })),
)

function of(kind: DecisionEvent['kind'], payload: fc.Arbitrary<DecisionPayload>): fc.Arbitrary<Choice> {
  // Records are made without a prototype, which JSON would not give back.
  return payload.map((chosen) => ({ kind, payload: { ...chosen } }))
}

/** Ids of one authority ascend, and those of several may be anywhere between each other. */
const stems = {
  common: '01K0000000000000000000',
  left: '01K000000000000000000A',
  right: '01K000000000000000000B',
  third: '01K000000000000000000C',
}

/** The events of one space, in order. */
export const line: fc.Arbitrary<DecisionEvent[]> = fc.array(choice, { maxLength: 40 }).map((choices) => toLine(choices))

/** Three logs of one origin, which decided on their own from some event on. */
export const diverged: fc.Arbitrary<{ left: DecisionEvent[]; right: DecisionEvent[]; third: DecisionEvent[] }> = fc
  .record({ common: choices(8), left: choices(8), right: choices(8), third: choices(8) })
  .map(({ common, left, right, third }) => {
    const before = toLine(common)
    return {
      left: [...before, ...toLine(left, { seq: common.length, stem: stems.left })],
      right: [...before, ...toLine(right, { seq: common.length, stem: stems.right })],
      third: [...before, ...toLine(third, { seq: common.length, stem: stems.third })],
    }
  })

function choices(maxLength: number): fc.Arbitrary<Choice[]> {
  return fc.array(choice, { maxLength })
}

function toLine(chosen: readonly Choice[], { seq, stem } = { seq: 0, stem: stems.common }): DecisionEvent[] {
  return chosen.map((one, index) => toEvent(one, { seq: seq + index + 1, stem }))
}

/** An event of a choice; the id is the stem and the number. */
function toEvent(chosen: Choice, o: { readonly seq: number; readonly stem: string }): DecisionEvent {
  const { kind } = chosen
  const payload = 'nth' in chosen ? { event_id: idOf(o.stem, chosen.nth + 1) } : chosen.payload
  const place = { space: 'plans', seq: o.seq, event_id: idOf(o.stem, o.seq), intent_id: `intent-${o.seq}` }
  const ts = new Date(Date.UTC(2026, 0, 1) + Math.floor(o.seq / 3)).toISOString()
  return { ...place, kind, actor: `actor-${o.seq % 3}`, ts, payload } as DecisionEvent
}

function idOf(stem: string, seq: number): string {
  return `${stem}${String(seq).padStart(26 - stem.length, '0')}`
}
