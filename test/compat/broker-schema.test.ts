/** Databases of earlier versions of the broker, opened by this one. */
import { chmodSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import BetterSqlite3 from 'better-sqlite3'
import { expect, test } from 'vitest'
import { systemRuntime } from '../../apps/broker/src/runtime.ts'
import { SqliteStore } from '../../apps/broker/src/store/sqlite/sqlite-store.ts'
import { scratchDirectory } from '../support/scratch-directory.ts'

const migrations = new URL('../../apps/broker/src/store/sqlite/schema/', import.meta.url)

test('members of before there were departures are all there after it, as they were', async () => {
  const path = join(scratchDirectory(), 'broker.db')
  fillAsOfSchema(path, 2)
  const store = SqliteStore.open({ path, runtime: systemRuntime() })
  const members = await store.pageMembers('mesh', { after: null, limit: 10 })
  expect(members.map(({ memberId, status, summary }) => [memberId, status, summary])).toEqual([
    ['ann', 'active', 'reviews'],
    ['ben', 'revoked', null],
  ])
  expect(members.map(({ online }) => online)).toEqual([true, false])
  expect(await store.listEndedLeases({ now: Number.MAX_SAFE_INTEGER, limit: 10 })).toEqual([])
  await store.close()
  const db = new BetterSqlite3(path)
  expect(db.pragma('foreign_key_check')).toEqual([])
  expect(() => db.exec(`INSERT INTO presence (mesh_id, member_id) VALUES ('mesh', 'nobody')`)).toThrow(/FOREIGN KEY/)
  db.close()
  chmodSync(path, 0o600)
})

test('receipts of before there were read ones wait for their sender as before, and read ones come beside them', async () => {
  const path = join(scratchDirectory(), 'broker.db')
  fillAsOfSchema(path, 3)
  const before = new BetterSqlite3(path)
  before.exec(`
    UPDATE mesh_counter SET last_history_id = 1, last_delivery_id = 2;
    INSERT INTO topic_message (id, mesh_id, history_id, client_message_id, sender, destination_kind, destination_ref,
           priority, receipts, accepted_at, sealed)
    VALUES ('m1', 'mesh', 1, 'c1', 'ben', 'dm', 'ann', 'next', 1, 5, x'00');
    INSERT INTO receipt (mesh_id, member_id, delivery_id, broker_message_id, client_message_id, recipient, state, at)
    VALUES ('mesh', 'ben', 2, 'm1', 'c1', 'ann', 'delivered', 6);`)
  before.close()
  const store = SqliteStore.open({ path, runtime: systemRuntime() })
  expect(await store.recordRead({ meshId: 'mesh', memberId: 'ann' }, [{ brokerMessageId: 'm1', at: 7 }])).toEqual([
    'ben',
  ])
  const claimed = await store.claim({
    ...{ meshId: 'mesh', memberId: 'ben', connectionId: 'c' },
    ...{ leaseMs: 1_000, itemsMax: 10, bytesMax: 1_000 },
  })
  const about = { brokerMessageId: 'm1', clientMessageId: 'c1', recipient: 'ann', reason: null }
  expect(claimed.receipts).toEqual([
    { deliveryId: 2, ...about, state: 'delivered', at: 6 },
    { deliveryId: 3, ...about, state: 'read', at: 7 },
  ])
  await store.close()
})

/** A database as the first `version` migrations make it, with a mesh in it. */
function fillAsOfSchema(path: string, version: number): void {
  const db = new BetterSqlite3(path)
  db.exec(
    'CREATE TABLE schema_migration (version INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at INTEGER NOT NULL)',
  )
  for (const [index, file] of readdirSync(migrations).sort().slice(0, version).entries()) {
    db.exec(readFileSync(new URL(file, migrations), 'utf8'))
    db.prepare('INSERT INTO schema_migration VALUES (?, ?, 0)').run(index + 1, file.replace(/[.]sql$/, ''))
  }
  db.exec(`
    INSERT INTO mesh (id, slug, root_key, record, registered_at) VALUES ('mesh', 'm', 'k', '{}', 0);
    INSERT INTO mesh_counter (mesh_id) VALUES ('mesh');
    INSERT INTO member (mesh_id, member_id, name, role, epoch, signing_key, box_key, chain, status, joined_at) VALUES
      ('mesh', 'ann', 'ann', 'admin', 0, 's', 'b', '[]', 'active', 7),
      ('mesh', 'ben', 'ben', 'member', 1, 't', 'c', '[]', 'revoked', 8);
    INSERT INTO presence (mesh_id, member_id, online, summary) VALUES ('mesh', 'ann', 1, 'reviews');`)
  db.close()
  chmodSync(path, 0o600)
}
