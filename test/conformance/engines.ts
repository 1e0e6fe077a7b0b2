/** The engines that the suites of this folder run over, and what a test may do to one from outside. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createIdSource } from '@claudemesh/protocol'
import BetterSqlite3 from 'better-sqlite3'
import pg from 'pg'
import { onTestFinished } from 'vitest'
import type { Runtime } from '../../apps/broker/src/runtime.ts'
import { PostgresStore } from '../../apps/broker/src/store/postgres/postgres-store.ts'
import { SqliteStore } from '../../apps/broker/src/store/sqlite/sqlite-store.ts'
import type { Store } from '../../apps/broker/src/store/store.ts'
import { freshDatabase } from '../support/postgres.ts'

export type Table =
  | 'client_message_dedupe'
  | 'topic_message'
  | 'message_history'
  | 'delivery_queue'
  | 'mention_index'
  | 'message_read'
  | 'receipt'
  | 'mesh'
  | 'member'
  | 'audit_log'
  | 'revocation_list'
  | 'topic_subscription'
  | 'invite_use'
  | 'queue_consumer'
  | 'message_queue'

export interface Engine {
  readonly store: Store
  /** Time as the store sees it. */
  readonly clock: TestClock
  /** Where its rows are, for whoever looks at them from outside. */
  readonly database: { readonly data: string } | { readonly databaseUrl: string }
  /** Closes the store and opens another one over the same rows. */
  restart(): Promise<Store>
  /** Opens what another broker has over the same rows; on an engine of one process the same store. */
  openSecond(): Promise<Store>
  /** Makes every insert into a table fail. @returns what ends that */
  failInserts(table: Table): Promise<() => Promise<void>>
  count(table: Table): Promise<number>
  /** What the audit log says, oldest first. */
  audit(): Promise<readonly AuditEntry[]>
}

interface AuditEntry {
  readonly actor: string
  readonly action: string
  readonly detail: unknown
}

interface TestClock extends Runtime {
  advance(ms: number): void
}

export const engines: readonly { readonly name: string; readonly open: () => Promise<Engine> }[] = [
  { name: 'SQLite', open: openSqlite },
  { name: 'PostgreSQL', open: () => openPostgres() },
]

async function openSqlite(): Promise<Engine> {
  const directory = mkdtempSync(join(tmpdir(), 'claudemesh-test-'))
  const path = join(directory, 'broker.db')
  const clock = createClock()
  let store = SqliteStore.open({ path, runtime: clock })
  const outside = new BetterSqlite3(path)
  onTestFinished(async () => {
    outside.close()
    await store.close()
    rmSync(directory, { recursive: true })
  })
  return {
    get store() {
      return store
    },
    clock,
    database: { data: directory },
    async restart() {
      await store.close()
      store = SqliteStore.open({ path, runtime: clock })
      return store
    },
    openSecond: async () => store,
    async failInserts(table) {
      outside.exec(`CREATE TRIGGER fail_${table} BEFORE INSERT ON ${table} BEGIN SELECT RAISE(ABORT, 'injected'); END`)
      return async () => void outside.exec(`DROP TRIGGER fail_${table}`)
    },
    audit: async () =>
      outside
        .prepare<[], { actor: string; action: string; detail: string }>(
          'SELECT actor, action, detail FROM audit_log ORDER BY seq',
        )
        .all()
        .map((row) => ({ ...row, detail: JSON.parse(row.detail) })),
    count: async (table) => outside.prepare<[], number>(`SELECT count(*) FROM ${table}`).pluck().get() ?? 0,
  }
}

/** @param databaseUrl of a database that the test has; one of the shared cluster unless it is told */
export async function openPostgres(databaseUrl?: string): Promise<Engine> {
  const url = databaseUrl ?? (await freshDatabase())
  const clock = createClock()
  const outside = new pg.Client({ connectionString: url })
  // A database that crashes takes it along.
  outside.on('error', () => undefined)
  await outside.connect()
  let store = await PostgresStore.open({ url, runtime: clock })
  onTestFinished(async () => {
    await outside.end()
    await store.close()
  })
  return {
    get store() {
      return store
    },
    clock,
    database: { databaseUrl: url },
    async restart() {
      await store.close()
      store = await PostgresStore.open({ url, runtime: clock })
      return store
    },
    async openSecond() {
      const second = await PostgresStore.open({ url, runtime: clock })
      onTestFinished(() => second.close())
      return second
    },
    async failInserts(table) {
      await outside.query(`
        CREATE FUNCTION fail_${table}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'injected'; END $$;
        CREATE TRIGGER fail_${table} BEFORE INSERT ON mesh.${table} FOR EACH ROW EXECUTE FUNCTION fail_${table}()`)
      return async () => void (await outside.query(`DROP FUNCTION fail_${table} CASCADE`))
    },
    async audit() {
      const { rows } = await outside.query<{ actor: string; action: string; detail: string }>(
        'SELECT actor, action, detail FROM mesh.audit_log ORDER BY seq',
      )
      return rows.map((row) => ({ ...row, detail: JSON.parse(row.detail) }))
    },
    async count(table) {
      const { rows } = await outside.query<{ count: string }>(`SELECT count(*) FROM mesh.${table}`)
      return Number(rows[0]?.count)
    },
  }
}

function createClock(): TestClock {
  let offset = 0
  const now = () => Date.now() + offset
  return {
    now,
    monotonicMs: () => performance.now() + offset,
    nextId: createIdSource(now),
    advance: (ms) => {
      offset += ms
    },
  }
}
