/** The limit of durable accepting: better-sqlite3 alone inserting the outbox's own rows into the outbox's own schema. */
import { join } from 'node:path'
import { createIdSource } from '@claudemesh/protocol'
import { closeDatabase, openDatabase } from '@claudemesh/storage'
import { prepareInsert, type Row } from './statements.ts'

/** As the build has put them beside the code. */
const migrations = new URL('outbox/schema/', import.meta.resolve('@claudemesh/daemon'))

export interface BareOutbox {
  /** Inserts that many rows in one transaction, with synchronous=FULL. */
  commit(rows: number): void
  close(): void
}

/** @param like a row that the daemon has accepted; the inserted ones differ in their ids */
export function openBareOutbox(directory: string, like: Row): BareOutbox {
  const now = () => Date.now()
  const nextId = createIdSource(now)
  const db = openDatabase({ path: join(directory, 'bare-outbox.db'), migrations, now })
  const insert = prepareInsert(db, 'outbox', like)
  const commit = db.transaction((rows: number) => {
    for (let n = 0; n < rows; n += 1) {
      const id = nextId()
      insert({ ...like, id, client_message_id: id })
    }
  })
  return { commit: (rows) => void commit.immediate(rows), close: () => closeDatabase(db) }
}
