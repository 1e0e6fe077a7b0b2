/** Messages that wait for one member in the embedded engine, made from one that was really accepted. */

import { fillByCopies } from './growth/statements.ts'
import { advanceCounters, type Row, readRow } from './statements.ts'

/** The tables in which an accepted message leaves a row, each with one. */
export type QueuedRows = Readonly<Record<(typeof tables)[number], Row>>

const tables = ['client_message_dedupe', 'topic_message', 'message_history', 'delivery_queue'] as const

/** The rows of a message that waits. @param path of a database in which one does */
export function readQueued(path: string): QueuedRows {
  const [dedupe, message, history, delivery] = tables.map((table) => readRow(path, table))
  if (dedupe === undefined || message === undefined || history === undefined || delivery === undefined) {
    throw new Error('each table has a row')
  }
  return { client_message_dedupe: dedupe, topic_message: message, message_history: history, delivery_queue: delivery }
}

/**
 * Adds messages that are like one in everything but their ids. Nobody else writes to the database meanwhile.
 *
 * @param numbers `first`: no message has that place in the history or a later one
 */
export function queueCopies(
  path: string,
  like: QueuedRows,
  { first, count }: { readonly first: number; readonly count: number },
): void {
  // Of the form and in the order of real ids, before all that are made now.
  const id = `printf('00%024d', n)`
  const numbered = { client_message_id: id, broker_message_id: id, history_id: 'n' }
  fillByCopies(path, [
    {
      table: 'client_message_dedupe',
      like: like.client_message_dedupe,
      differing: { seq: 'NULL', ...numbered },
      first,
      count,
    },
    {
      table: 'topic_message',
      like: like.topic_message,
      differing: { id, client_message_id: id, history_id: 'n' },
      first,
      count,
    },
    {
      table: 'message_history',
      like: like.message_history,
      differing: { broker_message_id: id, history_id: 'n' },
      first,
      count,
    },
    {
      table: 'delivery_queue',
      like: like.delivery_queue,
      differing: { broker_message_id: id, delivery_id: 'n' },
      first,
      count,
    },
  ])
  advanceCounters(path, first + count - 1)
}
