/** How a message is read from its tables: the same text for both engines, with `m` for the row. */
import type { DestinationKind, Priority } from '@claudemesh/protocol'
import type { Schema } from './inspection/tables.ts'
import type { Message } from './rows.ts'

/** What `messageColumns` and `queuedMessageColumns` select. */
export interface MessageRow {
  readonly brokerMessageId: string
  readonly historyId: number
  readonly clientMessageId: string
  readonly sender: string
  readonly destinationKind: DestinationKind
  readonly destinationRef: string
  readonly replyTo: string | null
  readonly priority: Priority
  readonly sealed: Buffer
  readonly acceptedAt: number
}

const columns = `
  m.id AS "brokerMessageId", m.history_id AS "historyId", m.client_message_id AS "clientMessageId", m.sender,
  m.reply_to AS "replyTo", m.priority, m.sealed, m.accepted_at AS "acceptedAt"`

/** Of `topic_message`. */
export const messageColumns = `
  ${columns}, m.destination_kind AS "destinationKind", m.destination_ref AS "destinationRef"`

/** Of `message_queue`. */
export const queuedMessageColumns = `${columns}, 'queue' AS "destinationKind", m.queue AS "destinationRef"`

/**
 * What of `message_queue` was sealed for a member: it was a consumer when it was accepted.
 *
 * @param memberId the parameter that says who
 */
export function sealedFor(schema: Schema, memberId: string): string {
  return `
  EXISTS (SELECT 1 FROM ${schema}.queue_consumer c
           WHERE c.mesh_id = m.mesh_id AND c.queue = m.queue AND c.member_id = ${memberId}
             AND c.since_history_id < m.history_id
             AND (c.until_history_id IS NULL OR c.until_history_id >= m.history_id))`
}

export function toMessage(row: MessageRow): Message {
  return {
    brokerMessageId: row.brokerMessageId,
    historyId: row.historyId,
    clientMessageId: row.clientMessageId,
    sender: row.sender,
    destination: { kind: row.destinationKind, ref: row.destinationRef },
    replyTo: row.replyTo,
    priority: row.priority,
    sealed: row.sealed,
    acceptedAt: row.acceptedAt,
  }
}
