/** A database of 80 letters in which one page after the other is overwritten. */
import { copyFileSync, mkdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { expect, test } from 'vitest'
import { scratchDirectory } from '../../../test/support/scratch-directory.ts'
import { closeDatabase, openDatabase } from './database.ts'
import { listDamage, openForReading } from './examine.ts'
import { salvageDatabase } from './salvage.ts'
import { immediate } from './transaction.ts'

const schema = `
  CREATE TABLE letter (id TEXT PRIMARY KEY, body BLOB NOT NULL, state TEXT NOT NULL CHECK (state = 'new' OR state = 'old')) STRICT;
  CREATE INDEX letter_state ON letter (state);
  CREATE TABLE stamp (letter_id TEXT NOT NULL REFERENCES letter (id), kind TEXT NOT NULL, PRIMARY KEY (letter_id, kind)) STRICT, WITHOUT ROWID;
  CREATE TABLE told (seq INTEGER PRIMARY KEY AUTOINCREMENT, letter_id TEXT NOT NULL) STRICT;`
const letters = 80
const pageBytes = 4096

function original(): { readonly directory: string; readonly path: string; readonly migrations: URL } {
  const directory = scratchDirectory()
  const migrations = join(directory, 'schema')
  mkdirSync(migrations)
  writeFileSync(join(migrations, '001-init.sql'), schema)
  const path = join(directory, 'original.db')
  const url = pathToFileURL(`${migrations}/`)
  const db = openDatabase({ path, migrations: url, now: () => 1 })
  immediate(db, () => {
    const letter = db.prepare('INSERT INTO letter (rowid, id, body, state) VALUES (?, ?, ?, ?)')
    const stamp = db.prepare('INSERT INTO stamp VALUES (?, ?)')
    const told = db.prepare('INSERT INTO told (letter_id) VALUES (?)')
    for (let i = 1; i <= letters; i += 1) {
      letter.run(i * 3, `letter-${i}`, Buffer.alloc(i % 20 === 0 ? 9_000 : 1_000, i), i % 2 === 0 ? 'new' : 'old')
      stamp.run(`letter-${i}`, 'paid')
      told.run(`letter-${i}`)
    }
    db.prepare('DELETE FROM told WHERE seq > 60').run()
  })
  closeDatabase(db)
  return { directory, path, migrations: url }
}

/** What a database holds, by table; rows as text. */
function contents(path: string): Record<string, readonly string[]> {
  const db = openForReading(path)
  try {
    expect(listDamage(db)).toEqual([])
    const rows = (table: string, key: string) =>
      db
        .prepare(`SELECT ${key} AS key, * FROM ${table} ORDER BY 1`)
        .all()
        .map((row) => JSON.stringify(row))
    return { letter: rows('letter', 'rowid'), stamp: rows('stamp', 'letter_id'), told: rows('told', 'seq') }
  } finally {
    db.close()
  }
}

test('every page but the damaged one is salvaged, nothing is made up, and the damaged file stays as it was', () => {
  const { directory, path, migrations } = original()
  const before = contents(path)
  const pages = statSync(path).size / pageBytes
  const lost: number[] = []
  for (let page = 0; page < pages; page += 1) {
    const from = join(directory, 'damaged.db')
    const to = join(directory, 'salvaged.db')
    copyFileSync(path, from)
    const bytes = readFileSync(from)
    bytes.fill(0xa5, page * pageBytes, (page + 1) * pageBytes)
    writeFileSync(from, bytes, { mode: 0o600 })
    const salvaged = salvageDatabase({ from, to, migrations, now: () => 2 })
    expect(readFileSync(from).equals(bytes)).toBe(true)
    const after = contents(to)
    for (const [table, rows] of Object.entries(after)) {
      expect(rows.filter((row) => before[table]?.includes(row) !== true)).toEqual([])
      expect(salvaged.find((entry) => entry.table === table)?.rows).toBe(rows.length)
      const missing = (before[table]?.length ?? 0) - rows.length
      // Whatever is missing is said.
      const told = salvaged.find((entry) => entry.table === table)
      expect((told?.gaps ?? 0) + (told?.refused ?? 0) > 0).toBe(missing > 0 || (told?.gaps ?? 0) > 0)
    }
    lost.push((before['letter']?.length ?? 0) - (after['letter']?.length ?? 0))
  }
  // The first page, which says what there is, and the root of the table.
  expect(lost.filter((count) => count === letters).length).toBe(2)
  const worstLeaf = Math.max(...lost.filter((count) => count < letters))
  expect(worstLeaf).toBeLessThanOrEqual(4)
})

test('a number that was given out before the damage is not given out again', () => {
  const { directory, path, migrations } = original()
  const to = join(directory, 'salvaged.db')
  salvageDatabase({ from: path, to, migrations, now: () => 2 })
  const db = openDatabase({ path: to, migrations, now: () => 2 })
  const next = db.prepare(`INSERT INTO told (letter_id) VALUES ('letter-1')`).run().lastInsertRowid
  closeDatabase(db)
  expect(next).toBe(letters + 1)
})

test('what follows a cut is missing, what stands before it is there', () => {
  const { directory, path, migrations } = original()
  const to = join(directory, 'salvaged.db')
  const before = contents(path)
  truncateSync(path, Math.floor(statSync(path).size / pageBytes / 2) * pageBytes)
  const salvaged = salvageDatabase({ from: path, to, migrations, now: () => 2 })
  const after = contents(to)
  expect(after['letter']?.length).toBeGreaterThan(letters / 4)
  expect(after['letter']?.every((row) => before['letter']?.includes(row))).toBe(true)
  expect(salvaged.find(({ table }) => table === 'letter')?.gaps).toBeGreaterThan(0)
})

test('a damaged head costs nothing: that of a sound database stands in', () => {
  const { directory, path, migrations } = original()
  const to = join(directory, 'salvaged.db')
  const before = contents(path)
  const bytes = readFileSync(path)
  bytes.fill(0xa5, 0, 100)
  writeFileSync(path, bytes)
  salvageDatabase({ from: path, to, migrations, now: () => 2 })
  expect(contents(to)).toEqual(before)
})

test('of a file that is no database any more nothing is salvaged, and a table that is to begin empty does', () => {
  const { directory, path, migrations } = original()
  const to = join(directory, 'salvaged.db')
  salvageDatabase({ from: path, to, migrations, now: () => 2, without: ['told'] })
  expect(contents(to)['told']).toEqual([])
  writeFileSync(path, Buffer.alloc(100_000, 7))
  expect(salvageDatabase({ from: path, to, migrations, now: () => 2 })).toEqual(
    ['letter', 'stamp', 'told'].map((table) => ({ table, rows: 0, refused: 0, gaps: 1 })),
  )
})
