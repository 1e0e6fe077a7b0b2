/**
 * Databases of every schema that there has been, opened by this version: killed in the middle of what is missing they are as
 * they were, and opened again they keep every row. They are made by the migrations of their time, which never change.
 */
import { createHash } from 'node:crypto'
import { chmodSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { closeDatabase, openDatabase } from '@claudemesh/storage'
import BetterSqlite3 from 'better-sqlite3'
import { describe, expect, test } from 'vitest'
import { startChild } from '../support/child.ts'
import { scratchDirectory } from '../support/scratch-directory.ts'

interface Store {
  readonly name: string
  readonly schema: URL
  /** First bytes of the SHA-256 of each migration that has landed, in order: none of them is ever changed. */
  readonly landed: readonly string[]
  /** Rows as the first schema takes them, with every kind of value that a later one moves. */
  readonly rows: string
  /** Columns whose values a migration changes on purpose. */
  readonly changed?: readonly string[]
}

const at = (path: string) => new URL(`../../apps/${path}/schema/`, import.meta.url)

const stores: readonly Store[] = [
  {
    name: 'outbox',
    schema: at('daemon/src/outbox'),
    landed: ['4b4088f7008c', '13f3bf556e04', '34cd38177dd8', '40b0e43fd069', 'd67e6c9f53be'],
    rows: `
      INSERT INTO outbox (id, client_message_id, request_fingerprint, destination_kind, destination_ref, priority, payload,
             sealed, wire_fingerprint, status, enqueued_at, next_attempt_at, last_error, delivered_at, broker_message_id,
             history_id, aborted_at, addressed, receipts, message_bytes) VALUES
        ('a', 'a', x'01', 'dm', 'bob', 'now', x'61', NULL, NULL, 'pending', 1, 1, NULL, NULL, NULL, NULL, NULL, 'bob', 1, 1),
        ('b', 'b', x'02', 'topic', 'news', 'next', x'62', x'63', x'04', 'inflight', 2, 2, NULL, NULL, NULL, NULL, NULL, '#news', 0, 1),
        ('c', 'c', x'05', 'queue', 'jobs', 'low', x'', x'64', x'06', 'done', 3, 3, NULL, 9, 'm1', '1', NULL, 'jobs', 1, 1),
        ('d', 'd', x'07', 'dm', 'bob', 'next', x'65', NULL, NULL, 'dead', 4, 4, 'why', NULL, NULL, NULL, NULL, 'bob', 1, 1),
        ('e', 'e', x'08', 'dm', 'bob', 'next', x'66', NULL, NULL, 'aborted', 5, 5, NULL, NULL, NULL, NULL, 7, 'bob', 1, 1);
      INSERT INTO receipt VALUES ('c', 'bob', 'delivered', 10, NULL);
      INSERT INTO announcement (outbox_id, kind, recipient, state) VALUES ('c', 'receipt', 'bob', 'delivered');`,
  },
  {
    name: 'inbox',
    schema: at('daemon/src/inbox'),
    landed: ['74ee21f2c343', '2fdf4645aaeb', '07fd3e7cf3db', 'a4d788b4cffa', '7b37c6ec07cb'],
    rows: `
      INSERT INTO inbox (broker_message_id, client_message_id, sender, history_id, destination_kind, destination_ref,
             priority, origin, opened, body, sealed, accepted_at, received_at, read_at) VALUES
        ('m1', 'c1', 'ann', '1', 'dm', 'bob', 'now', 'delivery', 1, 'text', NULL, 1, 2, 3),
        ('m2', 'c2', 'ann', '2', 'topic', 'news', 'low', 'history', 0, NULL, x'00', 4, 5, NULL);
      INSERT INTO inbox_state VALUES (1, 'generation', NULL, NULL, 'none', NULL);`,
  },
  {
    name: 'events',
    schema: at('daemon/src/events'),
    landed: ['7acccde20443', '27fdb9fa0f8b'],
    rows: `
      INSERT INTO event (type, at, data) VALUES ('message', 1, '{"n":1}'), ('receipt', 2, '{}');
      INSERT INTO cursor VALUES ('inbox', 'generation', 7), ('outbox', 'outbox', 3);
      INSERT INTO events_state VALUES (1, NULL);`,
  },
  {
    name: 'members',
    schema: at('daemon/src/members'),
    landed: ['d60ae62b296d', '0a8ae34beebe', 'a7f4f1ab6613', '07580b51ffa9', 'c4b2f6473b82'],
    rows: `
      INSERT INTO member VALUES ('ann', x'01', 'ann', 'admin', 's', 'b', 0, NULL, 'active', 5, 'reviews', NULL),
                                ('ben', x'02', 'ben', 'member', 't', 'c', 2, 9, 'revoked', NULL, NULL, NULL);
      INSERT INTO topic VALUES ('news', 1, 1, 1, 3);
      INSERT INTO fact VALUES ('profile', '{}');`,
    // Proven anew by the next list of members.
    changed: ['member.chain_digest'],
  },
  {
    name: 'broker',
    schema: at('broker/src/store/sqlite'),
    landed: [
      'f0f81a292c6a',
      'b55badac585c',
      'a301b8740739',
      '373ece17ff5a',
      '48a835513ddc',
      '1e4b44df72b2',
      '3c2348c9cdbf',
      'ea4103eeca5e',
    ],
    rows: `
      INSERT INTO mesh (id, slug, root_key, record, registered_at) VALUES ('mesh', 'm', 'k', '{}', 0);
      INSERT INTO mesh_counter (mesh_id, last_history_id, last_delivery_id) VALUES ('mesh', 1, 2);
      INSERT INTO member (mesh_id, member_id, name, role, epoch, signing_key, box_key, chain, status, joined_at) VALUES
        ('mesh', 'ann', 'ann', 'admin', 0, 's', 'b', '[]', 'active', 7),
        ('mesh', 'ben', 'ben', 'member', 1, 't', 'c', '[]', 'revoked', 8);
      INSERT INTO presence (mesh_id, member_id, online, summary) VALUES ('mesh', 'ann', 1, 'reviews');
      INSERT INTO topic_message (id, mesh_id, history_id, client_message_id, sender, destination_kind, destination_ref,
             priority, receipts, accepted_at, sealed)
        VALUES ('m1', 'mesh', 1, 'c1', 'ben', 'dm', 'ann', 'next', 1, 5, x'00');
      INSERT INTO receipt (mesh_id, member_id, delivery_id, broker_message_id, client_message_id, recipient, state, at)
        VALUES ('mesh', 'ben', 2, 'm1', 'c1', 'ann', 'delivered', 6);`,
  },
  {
    name: 'artifacts',
    schema: new URL('../../packages/artifacts/src/db/migrations/sqlite/', import.meta.url),
    landed: ['8fc01d77aab4', 'dec184c75af6', 'ada85d0a58f3', '1c9d604201e4'],
    rows: `
      INSERT INTO registry_meta VALUES (1, 'r', 5);
      INSERT INTO events VALUES (1, 6, 'v1.package.created', 'package', 'p', 'local', x'a0', zeroblob(32), zeroblob(32), NULL, NULL);
      UPDATE event_log_head SET last_sequence = 1, last_created_at = 6;
      INSERT INTO artifact_packages VALUES
        ('p', 'n', 'ci', NULL, 'finalized', 'transient', 'a/b', 'portable', '{}', NULL, '{}', '{}', 'm', 'c', 1, 3, 6, 7, 1);
      INSERT INTO artifact_files VALUES ('f', 'p', 'x', 'x', 'a/b', 3, 'blake3', 'd', 's', 'blake3:d', '{}', 'live', NULL, 6, 1);
      INSERT INTO storage_locations VALUES
        ('l', 'f', 'p', 'local', 'blake3/d', 'blake3:d', 3, 'stored', 'hot', NULL, 6, NULL, NULL, 1);
      INSERT INTO retention_state VALUES ('p', 'transient', 9, 9, 'h', 'legal', 0, NULL, 1);
      INSERT INTO package_signatures VALUES ('p', 'k', 't', 'm', 's', 8, 1);
      INSERT INTO shares VALUES ('s', 'sent', 'created', 'p', 'f', 'ben', 'x', 'a/b', 3, 'blake3:d', NULL, 6, NULL, 1);
      INSERT INTO uploads VALUES ('u', 'p', 'y', 'y', 'a/b', NULL, NULL, 4, 6, 7);
      INSERT INTO idempotency_keys VALUES ('key', zeroblob(32), 0, '{}', 6);
      INSERT INTO blob_state VALUES ('local', 'blake3:d', 6, 6, NULL, NULL);
      INSERT INTO scrub_cursor VALUES (1, 'local', 'blake3:d', 7);`,
  },
  {
    name: 'a partition of the history',
    schema: new URL('../../packages/history/src/schema/', import.meta.url),
    landed: ['ba37711a73f3'],
    rows: `
      INSERT INTO history_row VALUES (1, 'sent', 'm', 5, 'ann', 'dm:bob', 'c1', NULL, NULL, 'text', '{}', 'queued', zeroblob(32), 6);
      INSERT INTO source_cursor VALUES ('outbox', 'only', 1);
      INSERT INTO sink VALUES ('nightly', 1);
      INSERT INTO lost_row VALUES (7);
      UPDATE partition_state SET newest_seq = 8, promised_seq = 8;`,
  },
  {
    name: 'a receiver of exports',
    schema: new URL('../../packages/sinks/src/receiver/schema/', import.meta.url),
    landed: ['5a99a5dba777'],
    rows: `
      INSERT INTO batch VALUES ('b1', 5, 1, 2);
      INSERT INTO batch_row VALUES ('b1', 0, '{}');`,
  },
]

test('every directory of migrations on SQLite is one of these', () => {
  const known = new Set(stores.map(({ schema }) => fileURLToPath(schema)))
  const root = fileURLToPath(new URL('../../', import.meta.url))
  const found = ['apps', 'packages'].flatMap((part) => migrationsBelow(join(root, part)))
  expect(found.filter((path) => !known.has(`${path}/`) && !path.includes('/postgres'))).toEqual([])
  expect(found.length).toBeGreaterThan(8)
})

/** Directories of sources that hold migrations. */
function migrationsBelow(directory: string): readonly string[] {
  const entries = readdirSync(directory, { withFileTypes: true })
  const here = entries.some(({ name }) => /^001-.*[.]sql$/.test(name)) ? [directory] : []
  const below = entries.filter((entry) => entry.isDirectory() && !['node_modules', 'dist'].includes(entry.name))
  return [...here, ...below.flatMap(({ name }) => migrationsBelow(join(directory, name)))]
}

for (const store of stores) {
  const files = readdirSync(store.schema).toSorted()
  const directory = fileURLToPath(store.schema).replace(/\/$/, '')

  describe(`databases of ${store.name}`, () => {
    test('are made by migrations that never change', () => {
      const digests = files.map((file) => createHash('sha256').update(readText(store, file)).digest('hex').slice(0, 12))
      expect(digests, 'one that lands is written down here').toEqual(store.landed)
    })

    test(`of schema ${files.length}, which is of today, are opened with their rows`, () => {
      const path = join(scratchDirectory(), 'today.db')
      makeDatabase(path, { store, files })
      const before = readRows(path)
      expect(before.size).toBeGreaterThan(1)
      closeDatabase(openDatabase({ path, migrations: store.schema, now: Date.now }))
      expect(readRows(path)).toEqual(before)
    })

    for (let version = 1; version < files.length; version += 1) {
      test(`of schema ${version} keep their rows, also when the start that migrates them is killed`, async () => {
        const path = join(scratchDirectory(), 'old.db')
        makeDatabase(path, { store, files: files.slice(0, version) })
        const before = readRows(path)
        expect(before.size).toBeGreaterThan(1)
        const environment = { CLAUDEMESH_CRASH_AT: `migration.before_commit:${files.length - version}` }
        const killed = startChild('storage/children/open-database.mjs', [path, directory], { environment })
        expect(await killed.exited).toMatchObject({ signal: 'SIGKILL', stderr: '' })
        const reached = readRows(path).get('schema_migration')
        expect(reached, 'every migration but the last one is there').toHaveLength(files.length - 1)

        closeDatabase(openDatabase({ path, migrations: store.schema, now: Date.now }))
        const after = readRows(path)
        expect(after.get('schema_migration')).toHaveLength(files.length)
        expectKept(before, after, store.changed ?? [])
      })
    }
  })
}

function readText({ schema }: Store, file: string): string {
  return readFileSync(new URL(file, schema), 'utf8')
}

/** The rows are written under the first schema, and go through those after it. */
function makeDatabase(
  path: string,
  { store, files }: { readonly store: Store; readonly files: readonly string[] },
): void {
  const db = new BetterSqlite3(path)
  db.exec(
    'CREATE TABLE schema_migration (version INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at INTEGER NOT NULL)',
  )
  for (const [index, file] of files.entries()) {
    db.exec(`BEGIN; ${readText(store, file)}; COMMIT`)
    db.prepare('INSERT INTO schema_migration VALUES (?, ?, 0)').run(index + 1, file.replace(/[.]sql$/, ''))
    if (index === 0) db.exec(store.rows)
  }
  db.close()
  chmodSync(path, 0o600)
}

type Rows = ReadonlyMap<string, readonly Readonly<Record<string, unknown>>[]>

/** Every row of every table that has any, the tables of the search left out. */
function readRows(path: string): Rows {
  const db = new BetterSqlite3(path)
  try {
    const tables = db
      .prepare<[], string>(
        `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'inbox_text%' AND name NOT LIKE 'sqlite_%'`,
      )
      .pluck()
      .all()
    const rows = tables.map((table) => [table, db.prepare(`SELECT * FROM "${table}"`).all()] as const)
    return new Map(rows.filter(([, found]) => found.length > 0)) as Rows
  } finally {
    db.close()
  }
}

/** Each row is there as it was, in the columns that there were. */
function expectKept(before: Rows, after: Rows, changed: readonly string[]): void {
  for (const [table, rows] of before) {
    if (table === 'schema_migration') continue
    const kept = (after.get(table) ?? []).map((row) => JSON.stringify(row))
    expect(kept, table).toHaveLength(rows.length)
    for (const [index, row] of rows.entries()) {
      const columns = Object.entries(row).filter(([column]) => !changed.includes(`${table}.${column}`))
      expect(after.get(table)?.[index], table).toMatchObject(Object.fromEntries(columns))
    }
  }
}
