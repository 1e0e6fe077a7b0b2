import { existsSync, openSync, readFileSync, statSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { scratchDirectory, writeMigrations } from '../../../test/support/scratch-directory.ts'
import { closeDatabase, openDatabase } from './database.ts'
import { listDamage, openForReading } from './examine.ts'
import { schemaVersion } from './migrate.ts'

const schema = {
  '001-init.sql': `
    CREATE TABLE note (id INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT;
    CREATE TABLE remark (id INTEGER PRIMARY KEY, note INTEGER REFERENCES note (id)) STRICT;`,
}

function openNotes() {
  const directory = scratchDirectory()
  const path = join(directory, 'note.db')
  const open = () =>
    openDatabase({ path, migrations: writeMigrations(directory, schema), now: () => 1_700_000_000_000 })
  return { path, open }
}

function look(path: string) {
  const db = openForReading(path)
  onTestFinished(() => void db.close())
  return db
}

test('a database is read while another handle writes to it, and nothing is written or migrated', () => {
  const { path, open } = openNotes()
  const writer = open()
  onTestFinished(() => closeDatabase(writer))
  const reader = look(path)
  writer.exec(`INSERT INTO note (body) VALUES ('one')`)
  expect(reader.prepare('SELECT count(*) FROM note').pluck().get()).toBe(1)
  expect(listDamage(reader)).toEqual([])
  expect(() => reader.exec('DELETE FROM note')).toThrow(/readonly/)
  expect(schemaVersion(reader)).toBe(1)
})

test('rows that refer to nothing are named', () => {
  const { path, open } = openNotes()
  const writer = open()
  writer.pragma('foreign_keys = OFF')
  writer.exec('INSERT INTO remark (note) VALUES (7)')
  closeDatabase(writer)
  expect(listDamage(look(path))).toEqual(['a row of remark refers to no row of note'])
})

test('damage is named and left as it is', () => {
  const { path, open } = openNotes()
  const writer = open()
  for (let n = 0; n < 200; n += 1) writer.prepare('INSERT INTO note (body) VALUES (?)').run('x'.repeat(400))
  closeDatabase(writer)
  const file = openSync(path, 'r+')
  writeSync(file, Buffer.alloc(4096, 0xa5), 0, 4096, statSync(path).size - 4096)
  const before = readFileSync(path)
  expect(listDamage(look(path)).length).toBeGreaterThan(0)
  expect(readFileSync(path).equals(before)).toBe(true)
})

test('an empty file is refused and keeps the log beside it, and what is no database is damage', () => {
  const path = join(scratchDirectory(), 'note.db')
  expect(() => openForReading(path)).toThrow(/ENOENT/)
  writeFileSync(path, '')
  writeFileSync(`${path}-wal`, 'something')
  expect(() => openForReading(path)).toThrow(/the file is empty/)
  expect(existsSync(`${path}-wal`)).toBe(true)
  writeFileSync(path, 'no database '.repeat(1_000))
  expect(listDamage(look(path))).toEqual(['file is not a database'])
})
