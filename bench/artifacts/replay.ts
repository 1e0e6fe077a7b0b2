/** Computing the views of the store of artifacts anew from its log, against writing the same rows. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseContentAddress, type Registry } from '@claudemesh/artifacts'
import BetterSqlite3 from 'better-sqlite3'
import type { Benchmark, Contest, Sample } from '../benchmark.ts'
import { prepareInsert, type Row, readRow } from '../statements.ts'
import { openBare } from './bare-database.ts'
import { openStore } from './open-store.ts'

/** Changes of one batch. */
const batchMax = 64

export const artifactReplay: Benchmark = {
  name: 'artifact-replay',
  limit: 'the same rows of the views inserted by bare better-sqlite3 in one transaction',
  size: { unit: 'events', whenAlone: 100_000, inWholeRun: 10_000 },
  rounds: 3,
  figures: [
    {
      name: 'P8 replay',
      about: 'replay with verification / the rows of the views inserted from memory',
      target: { atLeast: 0.3 },
    },
  ],
  prepare,
}

async function prepare(events: number): Promise<Contest> {
  const directory = mkdtempSync(join(tmpdir(), 'claudemesh-bench-'))
  const { registry, packageId } = await openStore(directory)
  await fill(registry, { packageId, files: events })
  const database = join(directory, 'db', 'registry.db')
  const rate = async (work: () => Promise<unknown>): Promise<Sample> => {
    const started = performance.now()
    await work()
    return { 'P8 replay': (events * 1000) / (performance.now() - started) }
  }
  return {
    subject: () => rate(() => registry.replay()),
    limit: async (): Promise<Sample> => {
      const path = join(directory, 'views.db')
      const sample = await rate(async () => insertViews(path, database, events))
      for (const suffix of ['', '-wal', '-shm']) rmSync(path + suffix, { force: true })
      return sample
    },
    close: async () => {
      await registry.close()
      rmSync(directory, { recursive: true })
    },
  }
}

/** One event for each file, all of the same bytes. */
async function fill(registry: Registry, o: { readonly packageId: string; readonly files: number }): Promise<void> {
  const place = { mediaType: 'text/plain', actor: 'local' }
  const source = async function* () {
    yield Buffer.from('x')
  }
  const first = await registry.ingestFile(o.packageId, {
    ...place,
    relativePath: 'first',
    source: source(),
  })
  const contentAddress = parseContentAddress(first.contentAddress)
  for (let from = 1; from < o.files; from += batchMax) {
    const numbers = Array.from({ length: Math.min(batchMax, o.files - from) }, (_, index) => from + index)
    await registry.batch((changes) =>
      numbers.map((number) =>
        changes.addExisting(o.packageId, { ...place, relativePath: `file/${number}`, contentAddress }),
      ),
    )
  }
}

/** A file and a location for each ingest, as the views have them. */
function insertViews(path: string, from: string, count: number): void {
  const db = openBare(path)
  const tables = ['artifact_files', 'storage_locations'] as const
  const source = new BetterSqlite3(from, { readonly: true })
  for (const table of tables) copySchema(source, db, table)
  source.close()
  const inserts = tables.map((table) => {
    const row = readRow(from, table)
    return { key: Object.keys(row)[0] ?? '', row, insert: prepareInsert(db, table, row) }
  })
  db.transaction(() => {
    for (let index = 0; index < count; index += 1) {
      for (const { key, row, insert } of inserts) insert(uniqueRow(row, key, index))
    }
  })()
  db.close()
}

function uniqueRow(row: Row, key: string, index: number): Row {
  const unique = { ...row, [key]: String(index).padStart(26, '0') }
  return 'path_key' in row ? { ...unique, path_key: `path/${index}` } : unique
}

function copySchema(from: BetterSqlite3.Database, to: BetterSqlite3.Database, table: string): void {
  const statements = from
    .prepare<[string], { sql: string }>('SELECT sql FROM sqlite_schema WHERE tbl_name = ? AND sql IS NOT NULL')
    .all(table)
  for (const { sql } of statements) to.exec(sql)
}
