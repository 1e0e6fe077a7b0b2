/** The store of artifacts on small things: files, events and their replay, against the same work with nothing around it. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { open, rename } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import BetterSqlite3 from 'better-sqlite3'
import type { Benchmark, Contest, Sample } from '../benchmark.ts'
import { prepareInsert, type Row, readRow } from '../statements.ts'
import { openStore } from './open-store.ts'

const fileBytes = 4096
/** As many as the store reads at once. */
const parallel = 8
const transactions = 200

export const artifactLog: Benchmark = {
  name: 'artifact-log',
  limit: 'the same files written, synced and renamed; the same rows inserted by bare better-sqlite3, FULL',
  size: { unit: 'files', whenAlone: 2000, inWholeRun: 400 },
  rounds: 3,
  figures: [
    {
      name: 'P5 small files',
      about: 'ingestMany of files of 4 KiB / write, fsync, rename and fsync of the directory, 8 at a time',
      target: { atLeast: 0.5 },
    },
    {
      name: 'P6 one event, one commit',
      about: 'holds applied one after the other / one-row inserts, each its own commit',
      target: { atLeast: 0.35 },
    },
    {
      name: 'P8 replay',
      about: 'replay with verification / the same rows of the views inserted in one transaction',
      target: { atLeast: 0.3 },
    },
  ],
  prepare,
}

async function prepare(files: number): Promise<Contest> {
  const directory = mkdtempSync(join(tmpdir(), 'claudemesh-bench-'))
  const { registry, packageId } = await openStore(directory)
  const actor = 'local'
  let round = 0
  let replayed = 0
  const rate = async (count: number, work: () => Promise<unknown>): Promise<number> => {
    const started = performance.now()
    await work()
    return (count * 1000) / (performance.now() - started)
  }
  return {
    subject: async (): Promise<Sample> => {
      round += 1
      const drafts = Array.from({ length: files }, (_, index) => ({
        relativePath: `${round}/${index}`,
        mediaType: 'application/octet-stream',
        actor,
        source: once(contentOf(round, index)),
      }))
      const small = await rate(files, async () => {
        const failed = (await registry.ingestMany(packageId, drafts)).find(({ status }) => status === 'rejected')
        if (failed !== undefined) throw new Error('a file was refused')
      })
      const events = await rate(transactions, async () => {
        for (let index = 0; index < transactions / 2; index += 1) {
          const holdId = await registry.applyHold(packageId, { actor, reason: 'bench' })
          await registry.releaseHold(holdId, { actor, reason: 'bench' })
        }
      })
      let count = 0
      const replay = await rate(1, async () => {
        count = (await registry.replay()).applied
      })
      replayed = count
      return { 'P5 small files': small, 'P6 one event, one commit': events, 'P8 replay': replay }
    },
    limit: async (): Promise<Sample> => {
      const bare = join(directory, `bare-${round}`)
      mkdirSync(bare)
      const small = await rate(files, () => writeFiles(bare, files))
      const database = join(directory, 'db', 'registry.db')
      const events = await rate(transactions, async () => insertOneByOne(join(bare, 'rows.db'), transactions))
      const replay = await rate(1, async () => insertViews(join(bare, 'views.db'), database, round * files))
      rmSync(bare, { recursive: true })
      return { 'P5 small files': small, 'P6 one event, one commit': events, 'P8 replay': replay }
    },
    notes: () => [`${replayed.toLocaleString('en')} events in the last replay`],
    close: async () => {
      await registry.close()
      rmSync(directory, { recursive: true })
    },
  }
}

function contentOf(round: number, index: number): Buffer {
  const bytes = Buffer.alloc(fileBytes)
  bytes.writeUInt32BE(round)
  bytes.writeUInt32BE(index, 4)
  return bytes
}

async function* once(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  yield bytes
}

async function writeFiles(directory: string, count: number): Promise<void> {
  let next = 0
  const work = async () => {
    for (let index = next++; index < count; index = next++) {
      const handle = await open(join(directory, `.${index}`), 'wx')
      await handle.write(contentOf(0, index))
      await handle.sync()
      await handle.close()
      await rename(join(directory, `.${index}`), join(directory, `${index}`))
      const parent = await open(directory, 'r')
      await parent.sync()
      await parent.close()
    }
  }
  await Promise.all(Array.from({ length: parallel }, work))
}

function openBare(path: string): BetterSqlite3.Database {
  const db = new BetterSqlite3(path)
  db.pragma('journal_mode = WAL')
  db.pragma('synchronous = FULL')
  // The packages that rows refer to are not copied.
  db.pragma('foreign_keys = OFF')
  return db
}

function insertOneByOne(path: string, count: number): void {
  const db = openBare(path)
  db.exec('CREATE TABLE row (id INTEGER PRIMARY KEY, body BLOB NOT NULL)')
  const insert = prepareInsert(db, 'row', { id: 0, body: Buffer.alloc(0) })
  for (let id = 1; id <= count; id += 1) insert({ id, body: Buffer.alloc(300) })
  db.close()
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
