/** Databases of every schema of a broker on PostgreSQL, opened by this version; made by the migrations of their time. */
import { readdirSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { systemRuntime } from '../../apps/broker/src/runtime.ts'
import { PostgresStore } from '../../apps/broker/src/store/postgres/postgres-store.ts'
import { startChild } from '../support/child.ts'
import { ask, emptyDatabase } from '../support/postgres.ts'

const schema = new URL('../../apps/broker/src/store/postgres/schema/', import.meta.url)
const files = readdirSync(schema).toSorted()

const rows = `
  INSERT INTO mesh.mesh (id, slug, root_key, record, registered_at) VALUES ('mesh', 'm', 'k', '{}', 0);
  INSERT INTO mesh.mesh_counter (mesh_id, last_history_id, last_delivery_id) VALUES ('mesh', 1, 2);
  INSERT INTO mesh.member (mesh_id, member_id, name, role, epoch, signing_key, box_key, chain, status, joined_at) VALUES
    ('mesh', 'ann', 'ann', 'admin', 0, 's', 'b', '[]', 'active', 7),
    ('mesh', 'ben', 'ben', 'member', 1, 't', 'c', '[]', 'revoked', 8);
  INSERT INTO mesh.presence (mesh_id, member_id, online, summary) VALUES ('mesh', 'ann', true, 'reviews');
  INSERT INTO mesh.topic (mesh_id, name, created_by, created_at) VALUES ('mesh', 'news', 'ann', 9);
  INSERT INTO mesh.topic_message (id, mesh_id, history_id, client_message_id, sender, destination_kind, destination_ref,
         priority, receipts, accepted_at, sealed)
    VALUES ('m1', 'mesh', 1, 'c1', 'ben', 'dm', 'ann', 'next', true, 5, '\\x00');
  INSERT INTO mesh.receipt (mesh_id, member_id, delivery_id, broker_message_id, client_message_id, recipient, state, at)
    VALUES ('mesh', 'ben', 2, 'm1', 'c1', 'ann', 'delivered', 6);`

for (let version = 1; version < files.length; version += 1) {
  test(`a database of schema ${version} keeps its rows, also when the broker that migrates it is killed`, async () => {
    const url = await emptyDatabase()
    await ask(
      url,
      `CREATE SCHEMA mesh;
       CREATE TABLE mesh.schema_migration (version INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at BIGINT NOT NULL)`,
    )
    for (const [index, file] of files.slice(0, version).entries()) {
      await ask(url, readFileSync(new URL(file, schema), 'utf8'))
      await ask(url, 'INSERT INTO mesh.schema_migration VALUES ($1, $2, 0)', [index + 1, file.replace('.sql', '')])
      if (index === 0) await ask(url, rows)
    }
    const before = await readRows(url)
    expect(before.size).toBeGreaterThan(6)
    const environment = { CLAUDEMESH_CRASH_AT: 'postgres.migration.before_commit' }
    const killed = startChild('crash/children/store-operation.mjs', [url, 'ping', '[]'], { environment })
    expect(await killed.exited).toMatchObject({ signal: 'SIGKILL', stderr: '' })
    expect(await readRows(url)).toEqual(before)

    const store = await PostgresStore.open({ url, runtime: systemRuntime() })
    await store.close()
    const after = await readRows(url)
    expect(after.get('schema_migration')).toHaveLength(files.length)
    for (const [table, kept] of before) {
      if (table !== 'schema_migration') expect(after.get(table), table).toMatchObject(kept)
    }
  })
}

/** Every row of every table that has any. */
async function readRows(url: string): Promise<ReadonlyMap<string, object[]>> {
  const tables = await ask<{ name: string }>(
    url,
    `SELECT relname AS name FROM pg_class WHERE relnamespace = 'mesh'::regnamespace AND relkind = 'r'`,
  )
  const found = new Map<string, object[]>()
  for (const { name } of tables) {
    const list = await ask<{ row: object }>(url, `SELECT to_jsonb(t) AS row FROM mesh.${name} t ORDER BY t::text`)
    if (list.length > 0)
      found.set(
        name,
        list.map(({ row }) => row),
      )
  }
  return found
}
