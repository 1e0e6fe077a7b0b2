import { foundMesh, generateMemberKeys, generateSigningKeyPair, rotateMember } from '@claudemesh/identity'
import type { Certificate, DecisionDraft, DecisionEvent } from '@claudemesh/protocol'
import { describe, expect, test } from 'vitest'
import { decodeEvent, encodeEvent } from './event.ts'
import { judgeSignature, signDraft } from './signature.ts'
import { union } from './union.ts'

const founded = Date.UTC(2026, 0, 1)
const day = 86_400_000
const keys = generateMemberKeys()
const newKeys = generateMemberKeys()
const stranger = generateMemberKeys()
const meshId = '01K00000000000000000000000'
const { mesh, chain } = foundMesh({
  slug: 'home',
  name: 'ada',
  meshId,
  now: founded,
  keys,
  root: generateSigningKeyPair(),
})
const rotated = rotateMember({ chain, keys, newKeys, now: founded + 10 * day })
const actor = keys.signing.publicKey

const draft: DecisionDraft = { kind: 'state', actor, payload: { key: 'db', value: { name: 'sqlite', half: 0.5 } } }

function eventOf(
  o: { pair?: typeof keys.signing; atDay?: number; draft?: DecisionDraft; seq?: number; id?: string } = {},
): DecisionEvent {
  const { pair = keys.signing, atDay = 1, seq = 1, id = '01K00000000000000000000001' } = o
  const signed = signDraft(o.draft ?? draft, { space: 'plans', intentId: 'one', pair })
  const ts = new Date(founded + atDay * day).toISOString()
  return { space: 'plans', seq, event_id: id, intent_id: 'one', ts, ...signed } as DecisionEvent
}

function judge(event: DecisionEvent, known: readonly Certificate[] | null = chain) {
  return judgeSignature(event, { mesh, chainOf: (memberId) => (memberId === actor ? known : null) })
}

describe('a signed decision', () => {
  test('is verified by the chain of its actor, also when it went over the wire', () => {
    expect(judge(eventOf())).toBe('verified')
    expect(judge(decodeEvent(encodeEvent(eventOf())))).toBe('verified')
    expect(judge({ ...eventOf(), seq: 7 })).toBe('verified')
  })

  test('is invalid when anything that its actor said was changed', () => {
    const event = eventOf()
    const changed: Partial<DecisionEvent>[] = [
      { payload: { key: 'db', value: { name: 'postgres', half: 0.5 } } } as Partial<DecisionEvent>,
      { space: 'other' },
      { intent_id: 'two' },
      { sig: 'A'.repeat(86) },
    ]
    for (const change of changed) expect(judge({ ...event, ...change } as DecisionEvent)).toBe('invalid')
    expect(judge(eventOf({ pair: stranger.signing }))).toBe('invalid')
  })

  test('says nothing where nobody signed, and nothing of an actor that nobody knows', () => {
    const { sig: _, ...unsigned } = eventOf()
    expect(judge(unsigned as DecisionEvent)).toBe('unsigned')
    expect(judge(eventOf(), null)).toBe('unknown_actor')
    const other: DecisionDraft = { ...draft, actor: stranger.signing.publicKey }
    expect(judgeSignature(eventOf({ draft: other, pair: stranger.signing }), { mesh, chainOf: () => chain })).toBe(
      'unknown_actor',
    )
    const foreign = { ...mesh, root_key: stranger.signing.publicKey }
    expect(judgeSignature(eventOf(), { mesh: foreign, chainOf: () => chain })).toBe('unknown_actor')
  })

  test('counts by a key in its time: not before its certificate, not after the next', () => {
    expect(judge(eventOf({ atDay: 9 }), rotated)).toBe('verified')
    expect(judge(eventOf({ atDay: 11, pair: newKeys.signing }), rotated)).toBe('verified')
    expect(judge(eventOf({ atDay: 11 }), rotated)).toBe('invalid')
    expect(judge(eventOf({ atDay: 9, pair: newKeys.signing }), rotated)).toBe('invalid')
    expect(judge(eventOf({ atDay: -1 }))).toBe('unknown_actor')
  })

  test('is verified where two logs were united, by where it stood', () => {
    const other = eventOf({
      draft: { kind: 'note', actor, payload: { text: 'n', refs: [] } },
      id: '01K00000000000000000000000',
    })
    const united = union([eventOf()], [other])
    expect(united.map(({ payload }) => payload.origin)).toEqual([
      { space: 'plans', seq: 1 },
      { space: 'plans', seq: 1 },
    ])
    expect(united.map((event) => judge(event))).toEqual(['verified', 'verified'])
  })
})
