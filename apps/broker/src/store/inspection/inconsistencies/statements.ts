/**
 * Everything that is checked of a broker's database, as one table. Its SQL is the same text for every engine; `t` is the
 * row that is judged.
 */
import assert from 'node:assert/strict'
import type { Schema, TableName } from '../tables.ts'
import { besideRows } from './beside-rows.ts'

interface Inconsistency {
  readonly name: string
  /** What it means for those who use the broker. */
  readonly meaning: string
  /** What to do about it. */
  readonly remedy: string
  /** In which rows it shows, and by what. None: it is no matter of rows. */
  readonly checks: readonly { readonly table: TableName; readonly where: (schema: Schema) => string }[]
}

/** An outbox keeps what was accepted for a day (02 §5). */
const resend =
  'Restore the message from a backup, or have its sender send it again under a new id: its outbox keeps the content for 24 hours after it was accepted.'
const impossible = 'No operation of the broker makes this: keep a copy of the database and report it.'

/** A member of the mesh of the row. */
const member = (schema: Schema, memberId: string, more: string) =>
  `EXISTS (SELECT 1 FROM ${schema}.member m WHERE m.mesh_id = t.mesh_id AND m.member_id = ${memberId} AND (${more}))`

/** A message of any kind. */
const message = (schema: Schema, where: string) => `(
  EXISTS (SELECT 1 FROM ${schema}.topic_message m WHERE ${where}) OR
  EXISTS (SELECT 1 FROM ${schema}.message_queue m WHERE ${where}))`

const itsMessage = 'm.id = t.broker_message_id AND m.mesh_id = t.mesh_id'

/** What is remembered of the message that the row is. */
const dedupe = (schema: Schema, more: string) => `
  EXISTS (SELECT 1 FROM ${schema}.client_message_dedupe d
           WHERE d.mesh_id = t.mesh_id AND d.sender = t.sender AND d.client_message_id = t.client_message_id
             AND d.broker_message_id = t.id ${more})`

/** Whether the mesh does not know that it has given out this number. */
const beyondCounter = (schema: Schema, counter: string, given: string) =>
  `${given} > coalesce((SELECT c.${counter} FROM ${schema}.mesh_counter c WHERE c.mesh_id = t.mesh_id), 0)`

/** The same check of both tables of messages. */
const inMessages = (where: (schema: Schema) => string) => [
  { table: 'topic_message', where } as const,
  { table: 'message_queue', where } as const,
]

export const inconsistencies = [
  {
    name: 'message_missing',
    meaning: 'A message was accepted and retention has not taken it, but it is gone: who had not got it never will.',
    remedy: `${resend} Then set history_available to false in the row, so that a retry is told so.`,
    checks: [{ table: 'client_message_dedupe', where: (s) => `t.history_available AND NOT ${message(s, itsMessage)}` }],
  },
  {
    name: 'message_without_dedupe',
    meaning: 'The id of a message is not remembered: a retry of its sender would be delivered a second time.',
    remedy: `Insert the dedupe row from a backup. ${impossible}`,
    checks: inMessages((s) => `NOT ${dedupe(s, '')}`),
  },
  {
    name: 'message_marked_gone',
    meaning:
      'A message is there that is remembered as taken by retention: its id is forgotten too early, and a later retry would be delivered a second time.',
    remedy: 'Set history_available to true in the dedupe row; retention will set it when it takes the message.',
    checks: inMessages((s) => dedupe(s, 'AND NOT d.history_available')),
  },
  {
    name: 'message_without_history',
    meaning: 'A message has no place in the history: it is in nobody’s pages of history, and retention never takes it.',
    remedy: 'Insert the history row: mesh_id, history_id and id of the message.',
    checks: inMessages(
      (s) => `NOT EXISTS (SELECT 1 FROM ${s}.message_history h WHERE h.mesh_id = t.mesh_id
        AND h.history_id = t.history_id AND h.broker_message_id = t.id)`,
    ),
  },
  {
    name: 'history_without_message',
    meaning: 'The history names a message that is not there: whoever pages through it does not get it.',
    remedy: `${resend} If it is the oldest of its mesh, delete the row.`,
    checks: [{ table: 'message_history', where: (s) => `NOT ${message(s, itsMessage)}` }],
  },
  {
    name: 'history_gap',
    meaning: 'Places of the history are missing though retention has taken none after them: messages were lost.',
    remedy: 'Restore the messages in between from a backup; their senders may have them in their outboxes.',
    checks: [
      {
        table: 'message_history',
        where: (s) => `NOT EXISTS
            (SELECT 1 FROM ${s}.message_history p WHERE p.mesh_id = t.mesh_id AND p.history_id = t.history_id - 1)
          AND EXISTS
            (SELECT 1 FROM ${s}.message_history p WHERE p.mesh_id = t.mesh_id AND p.history_id < t.history_id)`,
      },
      {
        table: 'mesh_counter',
        where: (s) =>
          `t.last_history_id > (SELECT max(h.history_id) FROM ${s}.message_history h WHERE h.mesh_id = t.mesh_id)`,
      },
    ],
  },
  {
    name: 'history_id_contradicts',
    meaning: 'A message has another place in the history than its sender was told and will be told again.',
    remedy: `Set history_id of the dedupe row to that of the message. ${impossible}`,
    checks: [
      {
        table: 'client_message_dedupe',
        where: (s) => message(s, `${itsMessage} AND m.history_id <> t.history_id`),
      },
    ],
  },
  {
    name: 'delivery_without_message',
    meaning: 'A recipient waits for a message that is not there: it will not get it, and its sender hears nothing.',
    remedy: `${resend} Then delete the row.`,
    checks: [{ table: 'delivery_queue', where: (s) => `NOT ${message(s, itsMessage)}` }],
  },
  {
    name: 'delivery_for_gone',
    meaning: 'A message waits for somebody who is no member (any more), and its sender is never told that.',
    remedy: 'Set draining to true in the row of the member: the broker drops what waits and tells the senders.',
    checks: [
      {
        table: 'delivery_queue',
        where: (s) => `NOT ${member(s, 't.recipient', "m.status = 'active' OR m.draining")}`,
      },
    ],
  },
  {
    name: 'receipt_contradicts',
    meaning: 'A receipt waits for somebody who did not send the message it is about, or who asked for none.',
    remedy: `Delete the row. ${impossible}`,
    checks: [
      {
        table: 'receipt',
        where: (s) =>
          message(
            s,
            `m.id = t.broker_message_id AND (m.mesh_id <> t.mesh_id OR m.sender <> t.member_id
              OR m.client_message_id <> t.client_message_id OR NOT m.receipts)`,
          ),
      },
    ],
  },
  {
    name: 'mention_without_message',
    meaning: 'The index of mentions leads to a message that is not there.',
    remedy: 'Delete the row.',
    checks: [{ table: 'mention_index', where: (s) => `NOT ${message(s, itsMessage)}` }],
  },
  {
    name: 'counter_behind',
    meaning:
      'A number was given out that will be given a second time: a message would take the place of another one, or an acknowledgement delete the wrong delivery.',
    remedy:
      'Stop the broker, and set last_history_id and last_delivery_id of the mesh in mesh_counter to the highest numbers in use or beyond.',
    checks: [
      {
        table: 'mesh',
        where: (s) => `NOT EXISTS (SELECT 1 FROM ${s}.mesh_counter c WHERE c.mesh_id = t.id)`,
      },
      { table: 'client_message_dedupe', where: (s) => beyondCounter(s, 'last_history_id', 't.history_id') },
      { table: 'message_history', where: (s) => beyondCounter(s, 'last_history_id', 't.history_id') },
      { table: 'delivery_queue', where: (s) => beyondCounter(s, 'last_delivery_id', 't.delivery_id') },
      { table: 'receipt', where: (s) => beyondCounter(s, 'last_delivery_id', 't.delivery_id') },
    ],
  },
  {
    name: 'subscription_of_gone',
    meaning:
      'Somebody who is no member (any more) is a recipient of a topic: posts are sealed for it and wait for ever.',
    remedy: 'Delete the row, and add 1 to recipients_epoch of the topic, so that senders seal for the others alone.',
    checks: [
      {
        table: 'topic_subscription',
        where: (s) => `NOT ${member(s, 't.member_id', "m.status = 'active'")}`,
      },
    ],
  },
  {
    name: 'consumer_of_gone',
    meaning:
      'Somebody who is no member (any more) is a consumer of a queue: work is sealed for nobody who could do it.',
    remedy:
      'Set until_history_id of the row to last_history_id of the mesh (delete it if since_history_id is the same), take 1 from consumers and add 1 to recipients_epoch of the queue.',
    checks: [
      {
        table: 'queue_consumer',
        where: (s) => `t.until_history_id IS NULL AND NOT ${member(s, 't.member_id', "m.status = 'active'")}`,
      },
    ],
  },
  {
    name: 'consumers_miscounted',
    meaning:
      'A queue has another number of consumers than it says: senders may wait for one that is there, or for ever.',
    remedy: `Set consumers of the queue to the number of its queue_consumer rows without until_history_id. ${impossible}`,
    checks: [
      {
        table: 'queue',
        where: (s) => `t.consumers <> (SELECT count(*) FROM ${s}.queue_consumer c
          WHERE c.mesh_id = t.mesh_id AND c.queue = t.name AND c.until_history_id IS NULL)`,
      },
    ],
  },
  {
    name: 'work_without_queue',
    meaning: 'A message is in a queue that is not there: nobody can take it.',
    remedy: `Insert the queue, and let a consumer join it: it is given what was sealed for it. ${impossible}`,
    checks: [
      {
        table: 'message_queue',
        where: (s) => `NOT EXISTS (SELECT 1 FROM ${s}.queue q WHERE q.mesh_id = t.mesh_id AND q.name = t.queue)`,
      },
    ],
  },
  {
    name: 'recipient_count_contradicts',
    meaning: 'A sender was told another number of recipients than those that its message was stored for.',
    remedy: impossible,
    checks: [
      {
        table: 'client_message_dedupe',
        where: (s) => `t.destination_kind = 'dm' AND t.recipient_count <> 1 OR t.recipient_count <
          (SELECT count(*) FROM ${s}.delivery_queue q WHERE q.broker_message_id = t.broker_message_id)`,
      },
    ],
  },
  {
    name: 'fingerprint_unusable',
    meaning: 'The fingerprint of a message is no digest: every retry of it is refused as another message.',
    remedy: 'Take the row from a backup, and see why the table lacks its constraint: it was not made by this program.',
    checks: [{ table: 'client_message_dedupe', where: () => 'length(t.request_fingerprint) <> 32' }],
  },
  {
    name: 'blob_without_object',
    meaning: 'A blob is said to be there and nothing keeps its bytes: whom it names may find nothing.',
    remedy: 'Have its sender share it again; the row ends with its time.',
    checks: [
      {
        table: 'blob',
        where: (s) => `t.state = 'stored' AND NOT EXISTS
            (SELECT 1 FROM ${s}.blob_object o WHERE o.address = t.address AND o.refs > 0)`,
      },
    ],
  },
  {
    name: 'blob_object_miscounted',
    meaning: 'The bytes of blobs are counted for more or fewer than there are: they go too early, or stay for ever.',
    remedy: `Set refs of the row to the number of blobs of the address that are stored. ${impossible}`,
    checks: [
      {
        table: 'blob_object',
        where: (s) => `t.refs <> (SELECT count(*) FROM ${s}.blob b WHERE b.address = t.address AND b.state = 'stored')`,
      },
    ],
  },
  {
    name: 'blob_usage_miscounted',
    meaning: 'A mesh is said to have other blobs than it has: its quota refuses too early or too late.',
    remedy: `Set blobs and bytes of the row to those of the blobs of the mesh that have not expired. ${impossible}`,
    checks: [
      {
        table: 'blob_usage',
        where: (s) => `
          t.blobs <> (SELECT count(*) FROM ${s}.blob b WHERE b.mesh_id = t.mesh_id AND b.state <> 'expired') OR
          t.bytes <> (SELECT coalesce(sum(b.size_bytes), 0) FROM ${s}.blob b
                       WHERE b.mesh_id = t.mesh_id AND b.state <> 'expired')`,
      },
    ],
  },
  ...besideRows,
] as const satisfies readonly Inconsistency[]

export type InconsistencyName = (typeof inconsistencies)[number]['name']

/** What is to be said of an inconsistency. */
export function inconsistencyOf(name: InconsistencyName): Pick<Inconsistency, 'meaning' | 'remedy'> {
  const found = inconsistencies.find((inconsistency) => inconsistency.name === name)
  assert(found !== undefined, 'every name is in the table')
  return found
}
