/** Pieces that several route families share. Objects of requests are closed: an unknown field is an error (03 §2). */
import { type Static, Type } from 'typebox'
import { prioritySchema } from '../frames.ts'
import { memberIdPattern, ulidPattern } from '../ids.ts'
import { timeMax } from '../limits.ts'

export const closed = { additionalProperties: false }
/** Milliseconds since the epoch (UTC). */
export const timeSchema = Type.Integer({
  minimum: 0,
  maximum: timeMax,
  description: 'milliseconds since the epoch (UTC)',
})
export const ulidSchema = Type.String({ pattern: ulidPattern })
export const memberIdSchema = Type.String({ pattern: memberIdPattern, description: 'hex of the founding public key' })
export const destinationKindSchema = Type.Union([Type.Literal('dm'), Type.Literal('topic'), Type.Literal('queue')])
export { prioritySchema }
/** Rows of one page. */
export const pageLimitSchema = Type.Integer({ minimum: 1, maximum: 500, default: 50 })
export const metaSchema = Type.Record(Type.String(), Type.Unknown(), {
  description: 'free JSON members; keys that begin with $ are reserved',
})

/** Every error answer: RFC 9457 with a stable `code` and a `hint` that says what to do. */
export const problemSchema = Type.Object({
  type: Type.String(),
  title: Type.String(),
  status: Type.Integer(),
  detail: Type.String(),
  code: Type.String(),
  retryable: Type.Boolean(),
  hint: Type.String(),
})

/** The states of an outbox row (02 §5). */
export const outboxStatusSchema = Type.Union([
  Type.Literal('pending'),
  Type.Literal('inflight'),
  Type.Literal('done'),
  Type.Literal('dead'),
  Type.Literal('aborted'),
])
export type OutboxStatus = Static<typeof outboxStatusSchema>
