/** Outbox rows as the HTTP interface shows them, and the one word for what is proven of a send (02 §10). */
import type { OutboxRowView, Receipt, SendResponse, SendState } from '@claudemesh/protocol'
import type { OutboxSummary, StoredReceipt } from '../outbox/outbox.ts'

/** Recipients by what is proven of them; `read` counts as delivered too. */
export interface ReceiptTally {
  readonly delivered: number
  readonly read: number
  readonly undeliverable: number
}

/** Counts recipients, not receipts: one recipient may have several. */
export function tallyReceipts(receipts: readonly StoredReceipt[]): ReceiptTally {
  const delivered = new Set<string>()
  const read = new Set<string>()
  const undeliverable = new Set<string>()
  for (const { recipient, state } of receipts) {
    if (state === 'undeliverable') undeliverable.add(recipient)
    else delivered.add(recipient)
    if (state === 'read') read.add(recipient)
  }
  for (const recipient of delivered) undeliverable.delete(recipient)
  return { delivered: delivered.size, read: read.size, undeliverable: undeliverable.size }
}

/**
 * The strongest word that is true of every recipient. `undeliverable` is said once nothing more can be expected of any
 * of them and at least one will not get it; until then such a send is `accepted`. A message that nobody subscribed to
 * stays `accepted`.
 */
export function sendState(row: OutboxSummary, receipts: readonly StoredReceipt[]): SendState {
  switch (row.status) {
    case 'pending':
    case 'inflight':
      return 'queued'
    case 'dead':
    case 'aborted':
      return row.status
    case 'done':
      return stateOfAccepted(row.recipientCount ?? 0, tallyReceipts(receipts))
    default:
      return row.status satisfies never
  }
}

function stateOfAccepted(recipients: number, tally: ReceiptTally): SendState {
  if (recipients === 0) return 'accepted'
  if (tally.read >= recipients) return 'read'
  if (tally.delivered >= recipients) return 'delivered'
  if (tally.undeliverable > 0 && tally.delivered + tally.undeliverable >= recipients) return 'undeliverable'
  return 'accepted'
}

/** The body of an answer to a send, as the row stands. */
export function toSendResponse(row: OutboxSummary, receipts: readonly StoredReceipt[]): SendResponse {
  return {
    status: row.status === 'pending' ? 'queued' : row.status,
    state: sendState(row, receipts),
    client_message_id: row.clientMessageId,
    outbox_id: row.id,
    ...(row.brokerMessageId === null ? {} : { broker_message_id: row.brokerMessageId }),
    ...(row.historyId === null ? {} : { history_id: row.historyId }),
    ...(row.recipientCount === null ? {} : { recipient_count: row.recipientCount }),
    ...(receipts.length === 0 ? {} : { receipts: receipts.map(toReceiptView) }),
    ...(row.lastError === null ? {} : { last_error: row.lastError }),
  }
}

export function toReceiptView(receipt: StoredReceipt): Receipt {
  const { recipient, state, at, reason } = receipt
  return { recipient, state, at, ...(reason === null ? {} : { reason }) }
}

/** One row of `/v1/outbox`. */
export function toRowView(row: OutboxSummary, receipts: readonly StoredReceipt[]): OutboxRowView {
  return {
    id: row.id,
    client_message_id: row.clientMessageId,
    status: row.status,
    state: sendState(row, receipts),
    destination_kind: row.destinationKind,
    destination_ref: row.destinationRef,
    priority: row.priority,
    enqueued_at: row.enqueuedAt,
    attempts: row.attempts,
    next_attempt_at: row.nextAttemptAt,
    last_error: row.lastError,
    delivered_at: row.deliveredAt,
    broker_message_id: row.brokerMessageId,
    history_id: row.historyId,
    recipient_count: row.recipientCount,
    receipts: row.receipts,
    reply_to_id: row.replyToId,
    aborted_at: row.abortedAt,
    aborted_by: row.abortedBy,
    superseded_by: row.supersededBy,
    released_at: row.releasedAt,
    message_bytes: row.messageBytes,
  }
}
