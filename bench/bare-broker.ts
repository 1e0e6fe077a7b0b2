/** The limit of the broker's embedded engine: better-sqlite3 alone inserting the rows of a message into its schema. */
import { join } from 'node:path'
import { createIdSource } from '@claudemesh/protocol'
import { closeDatabase, openDatabase } from '@claudemesh/storage'
import { prepareInsert, readRow } from './statements.ts'

/** As the build has put them beside the code. */
const migrations = new URL('store/sqlite/schema/', import.meta.resolve('@claudemesh/broker'))

export interface BareBroker {
  /** Inserts the rows of that many messages in one transaction, with synchronous=FULL. */
  commit(messages: number): void
  close(): void
}

/** @param source the broker's database, with a message in it; the inserted ones differ in their ids */
export function openBareBroker(directory: string, source: string): BareBroker {
  const now = () => Date.now()
  const nextId = createIdSource(now)
  const db = openDatabase({ path: join(directory, 'bare-broker.db'), migrations, now })
  const insertInto = (table: string) => {
    const like = readRow(source, table)
    const insert = prepareInsert(db, table, like)
    return (ids: Readonly<Record<string, string | number | null>>) => insert({ ...like, ...ids })
  }
  const dedupe = insertInto('client_message_dedupe')
  const message = insertInto('topic_message')
  const history = insertInto('message_history')
  const delivery = insertInto('delivery_queue')
  const mention = insertInto('mention_index')
  let number = 0
  const commit = db.transaction((messages: number) => {
    for (let n = 0; n < messages; n += 1) {
      const [id, client_message_id] = [nextId(), nextId()]
      number += 1
      dedupe({ seq: null, client_message_id, broker_message_id: id, history_id: number })
      message({ id, client_message_id, history_id: number })
      history({ broker_message_id: id, history_id: number })
      delivery({ broker_message_id: id, delivery_id: number })
      mention({ broker_message_id: id })
    }
  })
  return { commit: (messages) => void commit.immediate(messages), close: () => closeDatabase(db) }
}
