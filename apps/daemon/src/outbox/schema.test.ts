import { cpSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { closeDatabase, openDatabase } from '@claudemesh/storage'
import { expect, it } from 'vitest'
import { draftOf, TestRuntime } from '../../../../test/support/outbox.ts'
import { scratchDirectory } from '../../../../test/support/scratch-directory.ts'
import { Outbox } from './outbox.ts'

const schema = fileURLToPath(new URL('./schema/', import.meta.url))

/** The migrations up to the one from which the tables are made anew. */
function earlierMigrations(directory: string): URL {
  const earlier = join(directory, 'earlier')
  mkdirSync(earlier)
  for (const name of ['001-init.sql', '002-sealing.sql', '003-backups.sql'])
    cpSync(join(schema, name), join(earlier, name))
  return pathToFileURL(`${earlier}/`)
}

it('an outbox of an earlier schema keeps its rows, their order, their receipts and what becomes of both', async () => {
  const directory = scratchDirectory()
  const path = join(directory, 'outbox.db')
  const runtime = new TestRuntime()
  const before = openDatabase({ path, migrations: earlierMigrations(directory), now: runtime.now })
  const insert = before.prepare(`
    INSERT INTO outbox (rowid, id, client_message_id, request_fingerprint, destination_kind, destination_ref, priority,
                        payload, sealed, wire_fingerprint, status, enqueued_at, next_attempt_at, addressed, receipts,
                        message_bytes, delivered_at, broker_message_id, history_id, recipients_epoch, restored_at)
    VALUES (:rowid, :id, :id, x'00', 'queue', 'builds', 'low', x'01', x'02', x'03', :status, 1, 2, 'queue:builds', 1, 3,
            4, :broker, :broker, 5, 6)`)
  // Row ids with a gap, and not in the order of the ids.
  const rows = [
    { rowid: 7, id: 'C', status: 'pending', broker: 'b1' },
    { rowid: 9, id: 'B', status: 'done', broker: 'b2' },
    { rowid: 40, id: 'A', status: 'pending', broker: 'b3' },
  ]
  for (const row of rows) insert.run(row)
  before.prepare(`INSERT INTO receipt (outbox_id, recipient, state, at) VALUES ('B', 'bob', 'delivered', 8)`).run()
  const all = (db: typeof before, table: string) => {
    const key = table === 'outbox' ? 'rowid' : 'outbox_id'
    return db.prepare<[], Record<string, unknown>>(`SELECT ${key} AS key, * FROM ${table} ORDER BY ${key}`).all()
  }
  const expected = { rows: all(before, 'outbox'), receipts: all(before, 'receipt') }
  expect(expected.rows.map(({ id }) => id)).toEqual(['C', 'B', 'A'])
  closeDatabase(before)

  const outbox = Outbox.open({ path, runtime, acceptBatchMax: 256 })
  expect(outbox.schemaVersion).toBe(5)
  expect(outbox.receipts('B')).toEqual([{ recipient: 'bob', state: 'delivered', at: 8, reason: null }])
  const draft = draftOf(runtime)
  await outbox.accept(draft)
  expect(outbox.list({ status: null, after: null, limit: 9 })?.map(({ id }) => id)).toEqual([draft.id, 'A', 'B', 'C'])
  outbox.retain({ now: 2 * 86_400_000, dedupeRetentionDays: null })
  outbox.close()

  const after = openDatabase({ path, migrations: pathToFileURL(schema), now: runtime.now })
  const isKept = (row: Record<string, unknown>) => row['id'] !== draft.id
  expect(all(after, 'outbox').filter(isKept)).toEqual(
    expected.rows.map((row) => (row['id'] === 'B' ? { ...row, payload: Buffer.alloc(0), sealed: null } : row)),
  )
  expect(all(after, 'receipt')).toEqual(expected.receipts)
  expect(after.pragma('foreign_key_check')).toEqual([])
  expect(after.pragma('integrity_check', { simple: true })).toBe('ok')
  closeDatabase(after)
})
