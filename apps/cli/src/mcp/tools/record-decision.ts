import type { JsonValue } from '@claudemesh/protocol'
import type { NewDecision } from '@claudemesh/protocol/spaces'
import { type Static, Type } from 'typebox'
import { MeshError } from '../../protocol.ts'
import { tool } from '../tool.ts'

const input = Type.Object(
  {
    space: Type.String({ minLength: 1, maxLength: 64, description: 'which log; read_decisions lists them' }),
    key: Type.Optional(Type.String({ minLength: 1, maxLength: 512, description: 'what is decided on' })),
    value: Type.Optional(Type.Unsafe<JsonValue>({ description: 'the decision, any JSON; null takes the key away' })),
    note: Type.Optional(Type.String({ minLength: 1, description: 'why, in a sentence; kept and found again' })),
    expect_head: Type.Optional(
      Type.Integer({ minimum: 0, description: 'decide only if nothing came after the decision of that number' }),
    ),
    idempotency_key: Type.Optional(
      Type.String({ minLength: 1, maxLength: 128, description: 'with the same key it is decided once' }),
    ),
  },
  { additionalProperties: false },
)

export const recordDecision = tool({
  name: 'record_decision',
  title: 'Record a decision',
  description:
    'Writes a decision into a space: a log in one order that everybody who shares the space sees. Give key and value for something that holds from now on, ' +
    'note for what is only to be remembered, or both. When this answers it is durable; repeated with the same idempotency_key it is one decision. ' +
    'Record what your user has decided, not what you suppose.',
  input,
  isReadOnly: false,
  isIdempotent: false,
  async run(given, { client }, signal) {
    const { space, expect_head, idempotency_key } = given
    const events = await client.spaces.decide(space, decisionsOf(given), {
      signal,
      ...(expect_head === undefined ? {} : { expectHead: expect_head }),
      ...(idempotency_key === undefined ? {} : { intentId: idempotency_key }),
    })
    const numbers = events.map(({ seq }) => seq)
    return {
      text: `Decided in ${space} as number ${numbers.join(' and ')}. To do the very same again without deciding twice, use idempotency_key ${events[0]?.intent_id}.`,
      data: { space, events },
    }
  },
})

function decisionsOf({ key, value, note }: Static<typeof input>): readonly NewDecision[] {
  if ((key === undefined) !== (value === undefined)) {
    throw new MeshError('invalid_request', {
      detail: 'key and value go together',
      hint: 'Give both, or only note. A value of null takes a key away.',
    })
  }
  const refs = key === undefined ? [] : [key]
  const decisions: NewDecision[] = []
  if (key !== undefined && value !== undefined) decisions.push({ kind: 'state', payload: { key, value } })
  if (note !== undefined) decisions.push({ kind: 'note', payload: { text: note, refs } })
  if (decisions.length > 0) return decisions
  throw new MeshError('invalid_request', { detail: 'there is nothing to decide', hint: 'Give key and value, or note.' })
}
