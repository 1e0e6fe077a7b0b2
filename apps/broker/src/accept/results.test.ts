import { errorCatalogue, MeshError } from '@claudemesh/protocol'
import { expect, test } from 'vitest'
import type { AcceptItem, AcceptOutcome } from '../store/store.ts'
import { answerKnown, answerOutcome } from './results.ts'

const fingerprint = Buffer.alloc(32, 1)
const item = { clientMessageId: 'id', fingerprint, destination: { kind: 'topic', ref: 'news' } } as AcceptItem
const accepted = {
  brokerMessageId: '01J0000000000000000000000A',
  historyId: 7,
  fingerprint,
  recipientCount: 3,
  firstSeenAt: 5,
  historyAvailable: false,
}

const rows: readonly { readonly outcome: AcceptOutcome; readonly result: object }[] = [
  {
    outcome: { kind: 'stored', brokerMessageId: accepted.brokerMessageId, historyId: 7, recipients: ['a', 'b'] },
    result: { status: 201, broker_message_id: accepted.brokerMessageId, history_id: '7', recipient_count: 2 },
  },
  {
    outcome: { kind: 'known', accepted },
    result: {
      status: 200,
      duplicate: true,
      broker_message_id: accepted.brokerMessageId,
      history_id: '7',
      history_available: false,
      recipient_count: 3,
      first_seen_at: 5,
    },
  },
  {
    outcome: { kind: 'known', accepted: { ...accepted, fingerprint: Buffer.alloc(32, 0xab) } },
    result: { status: 409, code: 'idempotency_key_reused', broker_fingerprint_prefix: 'abababababababab' },
  },
  { outcome: { kind: 'sender_left' }, result: { status: 401, code: 'unauthenticated' } },
  { outcome: { kind: 'sender_revoked' }, result: { status: 403, code: 'member_revoked' } },
  { outcome: { kind: 'recipient_unknown' }, result: { status: 404, code: 'recipient_unknown' } },
  { outcome: { kind: 'recipient_revoked' }, result: { status: 403, code: 'member_revoked' } },
  { outcome: { kind: 'topic_unknown' }, result: { status: 404, code: 'topic_unknown' } },
  { outcome: { kind: 'queue_unknown' }, result: { status: 404, code: 'queue_unknown' } },
  {
    outcome: { kind: 'recipients_stale', recipientsEpoch: 4 },
    result: { status: 409, code: 'recipients_stale', recipients_epoch: 4 },
  },
  {
    outcome: { kind: 'failed', error: new MeshError('insufficient_storage') },
    result: { status: 507, code: 'insufficient_storage' },
  },
  {
    outcome: { kind: 'failed', error: new MeshError('storage_failed') },
    result: { status: 500, code: 'storage_failed' },
  },
  { outcome: { kind: 'failed', error: new TypeError('ours') }, result: { status: 500, code: 'internal_error' } },
]

test('every outcome of the transaction has its result', () => {
  for (const { outcome, result } of rows) {
    expect(answerOutcome(item, outcome)).toEqual({ client_message_id: 'id', ...result })
  }
})

test('one of the consumers of a queue gets a message', () => {
  const outcome = { kind: 'stored', brokerMessageId: accepted.brokerMessageId, historyId: 7, recipients: [] } as const
  const sent: AcceptItem = { ...item, destination: { kind: 'queue', ref: 'jobs' } }
  expect(answerOutcome(sent, outcome)).toMatchObject({ status: 201, recipient_count: 1 })
})

test('a failure of this side is never answered with a status that ends the send for good', () => {
  for (const code of ['insufficient_storage', 'storage_failed', 'internal_error'] as const) {
    expect(errorCatalogue[code]).toMatchObject({ retryable: true })
    expect(errorCatalogue[code].status).toBeGreaterThanOrEqual(500)
  }
})

test('one byte of difference in the fingerprint is another message', () => {
  for (let index = 0; index < 32; index += 1) {
    const other = Buffer.from(fingerprint)
    other[index] = 2
    expect(answerKnown({ clientMessageId: 'id', fingerprint: other }, accepted)).toMatchObject({ status: 409 })
  }
})
