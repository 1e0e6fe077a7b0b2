import type { SendResult } from '@claudemesh/protocol'
import { describe, expect, it } from 'vitest'
import { resealsAtOnceMax } from '../limits.ts'
import { outcomeOf, type SendOutcome } from './outcome-table.ts'
import { settlementOf } from './settlement.ts'

const id = 'k'
const stored = { broker_message_id: '01BRK000000000000000000001', history_id: '1', recipient_count: 2 }
const created: SendResult = { client_message_id: id, status: 201, ...stored }
const duplicate: SendResult = {
  client_message_id: id,
  status: 200,
  duplicate: true,
  history_available: false,
  first_seen_at: 1,
  ...stored,
}
const failed = (status: number, code: string, rest: object = {}): SendResult => ({
  client_message_id: id,
  status,
  code,
  ...rest,
})

const rows: readonly (readonly [string, SendResult, SendOutcome])[] = [
  ['201', created, 'accepted'],
  ['200 duplicate', duplicate, 'accepted'],
  ['409 recipients_stale', failed(409, 'recipients_stale', { recipients_epoch: 3 }), 'reseal'],
  ['409 idempotency_key_reused', failed(409, 'idempotency_key_reused'), 'refused'],
  ['409 of another code', failed(409, 'something_new'), 'refused'],
  ['400', failed(400, 'fingerprint_mismatch'), 'refused'],
  ['403', failed(403, 'member_revoked'), 'refused'],
  ['404', failed(404, 'recipient_unknown'), 'refused'],
  ['404 queue_unknown', failed(404, 'queue_unknown'), 'reseal'],
  ['404 recipients_stale, which is no such thing', failed(404, 'recipients_stale'), 'refused'],
  ['422', failed(422, 'destination_unsupported'), 'refused'],
  ['428', failed(428, 'x'), 'refused'],
  ['429', failed(429, 'rate_limited', { retry_after_ms: 5 }), 'retry'],
  ['430', failed(430, 'x'), 'refused'],
  ['499', failed(499, 'x'), 'refused'],
  ['500', failed(500, 'internal_error'), 'retry'],
  ['503', failed(503, 'shutting_down', { retry_after_ms: 7_000 }), 'retry'],
  ['599', failed(599, 'x'), 'retry'],
]

describe('the outcome of a broker result', () => {
  for (const [name, result, outcome] of rows) {
    it(`${name}: ${outcome}`, () => expect(outcomeOf(result)).toBe(outcome))
  }
})

describe('the settlement of a broker result', () => {
  const settle = (result: SendResult, attempts = 0, isRestored = false) =>
    settlementOf({ result, transmission: { outboxId: 'o', attempts, isRestored }, random: 0.5 })

  it('keeps what the broker said of the message, new or known', () => {
    const expected = {
      outboxId: 'o',
      move: 'accepted',
      brokerMessageId: stored.broker_message_id,
      historyId: '1',
      recipientCount: 2,
    }
    expect(settle(created)).toEqual(expected)
    expect(settle(duplicate)).toEqual(expected)
  })

  it('keeps code and detail of a refusal', () => {
    expect(settle(failed(404, 'recipient_unknown', { detail: 'gone' }))).toMatchObject({
      move: 'refused',
      lastError: 'recipient_unknown: gone',
    })
    expect(settle(failed(403, 'member_revoked'))).toMatchObject({ lastError: 'member_revoked' })
  })

  it('says of a row out of a backup, and of no other, that its id was used since', () => {
    const taken = failed(409, 'idempotency_key_reused')
    expect(settle(taken, 0, true)).toMatchObject({
      move: 'refused',
      lastError: expect.stringMatching(/^sent_after_backup: /),
    })
    expect(settle(taken, 0, false)).toMatchObject({ move: 'refused', lastError: 'idempotency_key_reused' })
    expect(settle(failed(403, 'member_revoked'), 0, true)).toMatchObject({ lastError: 'member_revoked' })
    expect(settle(failed(409, 'recipients_stale'), 0, true)).toMatchObject({ move: 'retry', reseal: true })
  })

  it('waits as long as the broker asks for', () => {
    expect(settle(failed(503, 'shutting_down', { retry_after_ms: 7_000 }))).toMatchObject({
      move: 'retry',
      delayMs: 7_000,
      reseal: false,
    })
    expect(settle(failed(500, 'internal_error'), 2)).toMatchObject({ delayMs: 1_000 })
  })

  it('seals again at once, but not for ever at that pace', () => {
    expect(settle(failed(409, 'recipients_stale'), 0)).toMatchObject({ move: 'retry', reseal: true, delayMs: 0 })
    expect(settle(failed(409, 'recipients_stale'), resealsAtOnceMax)).toMatchObject({ reseal: true, delayMs: 2_000 })
  })
})
