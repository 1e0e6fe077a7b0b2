/** The engines that the suites of this folder run over, and what a test may do to one from outside. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createIdSource } from '@claudemesh/protocol'
import BetterSqlite3 from 'better-sqlite3'
import { onTestFinished } from 'vitest'
import type { Runtime } from '../../apps/broker/src/runtime.ts'
import { SqliteStore } from '../../apps/broker/src/store/sqlite/sqlite-store.ts'
import type { Store } from '../../apps/broker/src/store/store.ts'

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

export interface Engine {
  readonly store: Store
  /** Time as the store sees it. */
  readonly clock: TestClock
  /** Closes the store and opens another one over the same rows. */
  restart(): Promise<Store>
  /** Makes every insert into a table fail. @returns what ends that */
  failInserts(table: Table): () => void
  count(table: Table): number
  /** What the audit log says, oldest first. */
  audit(): readonly { readonly actor: string; readonly action: string; readonly detail: unknown }[]
}

interface TestClock extends Runtime {
  advance(ms: number): void
}

export const engines: readonly { readonly name: string; readonly open: () => Promise<Engine> }[] = [
  { name: 'SQLite', open: openSqlite },
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
    async restart() {
      await store.close()
      store = SqliteStore.open({ path, runtime: clock })
      return store
    },
    failInserts(table) {
      outside.exec(`CREATE TRIGGER fail_${table} BEFORE INSERT ON ${table} BEGIN SELECT RAISE(ABORT, 'injected'); END`)
      return () => outside.exec(`DROP TRIGGER fail_${table}`)
    },
    audit: () =>
      outside
        .prepare<[], { actor: string; action: string; detail: string }>(
          'SELECT actor, action, detail FROM audit_log ORDER BY seq',
        )
        .all()
        .map((row) => ({ ...row, detail: JSON.parse(row.detail) })),
    count: (table) => outside.prepare<[], number>(`SELECT count(*) FROM ${table}`).pluck().get() ?? 0,
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
