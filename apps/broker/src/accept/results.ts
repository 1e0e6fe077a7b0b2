/**
 * What a sender is told about each of its messages: the results of 02 §9, as data. The status of a refusal is that of
 * its code in the catalogue, so that one code means one status everywhere.
 */
import { type ErrorCode, errorCatalogue, fingerprintPrefix, MeshError, type SendResult } from '@claudemesh/protocol'
import type { Accepted } from '../store/rows.ts'
import type { AcceptItem, AcceptOutcome } from '../store/store.ts'

type Refusal = Extract<SendResult, { code: string }>

/** A refusal with its code's status. */
export function refuse(
  clientMessageId: string,
  code: ErrorCode,
  more: Omit<Partial<Refusal>, 'client_message_id' | 'status' | 'code'> = {},
): SendResult {
  return { client_message_id: clientMessageId, status: errorCatalogue[code].status, code, ...more }
}

/** The answer for an id that the broker remembers: the same message, or another one under the same id. */
export function answerKnown(
  sent: { readonly clientMessageId: string; readonly fingerprint: Buffer },
  accepted: Accepted,
): SendResult {
  if (!accepted.fingerprint.equals(sent.fingerprint)) {
    return refuse(sent.clientMessageId, 'idempotency_key_reused', {
      broker_fingerprint_prefix: fingerprintPrefix(accepted.fingerprint),
    })
  }
  return {
    client_message_id: sent.clientMessageId,
    status: 200,
    duplicate: true,
    broker_message_id: accepted.brokerMessageId,
    history_id: String(accepted.historyId),
    history_available: accepted.historyAvailable,
    recipient_count: accepted.recipientCount,
    first_seen_at: accepted.firstSeenAt,
  }
}

/** Code of each refusal that the transaction finds. */
const refusalOf = {
  sender_left: 'unauthenticated',
  sender_revoked: 'member_revoked',
  recipient_unknown: 'recipient_unknown',
  recipient_revoked: 'member_revoked',
  topic_unknown: 'topic_unknown',
  queue_unknown: 'queue_unknown',
} as const satisfies Record<string, ErrorCode>

/** The answer for an item that went through the transaction. */
export function answerOutcome(item: AcceptItem, outcome: AcceptOutcome): SendResult {
  const { clientMessageId } = item
  switch (outcome.kind) {
    case 'stored':
      return {
        client_message_id: clientMessageId,
        status: 201,
        broker_message_id: outcome.brokerMessageId,
        history_id: String(outcome.historyId),
        // One of a queue's consumers gets it.
        recipient_count: item.destination.kind === 'queue' ? 1 : outcome.recipients.length,
      }
    case 'known':
      return answerKnown(item, outcome.accepted)
    case 'recipients_stale':
      return refuse(clientMessageId, 'recipients_stale', { recipients_epoch: outcome.recipientsEpoch })
    case 'failed':
      return refuse(clientMessageId, outcome.error instanceof MeshError ? outcome.error.code : 'internal_error')
    case 'sender_left':
    case 'sender_revoked':
    case 'recipient_unknown':
    case 'recipient_revoked':
    case 'topic_unknown':
    case 'queue_unknown':
      return refuse(clientMessageId, refusalOf[outcome.kind])
    default:
      return outcome satisfies never
  }
}
