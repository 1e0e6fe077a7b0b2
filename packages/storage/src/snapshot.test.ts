import { chmodSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { expect, test } from 'vitest'
import { scratchDirectory } from '../../../test/support/scratch-directory.ts'
import { closeDatabase, openDatabase } from './database.ts'
import { snapshotDatabase } from './snapshot.ts'

function makeDatabase() {
  const directory = scratchDirectory()
  const migrations = join(directory, 'schema')
  const path = join(directory, 'notes.db')
  return { directory, path, open: () => openNotes(path, migrations) }
}

function openNotes(path: string, migrations: string) {
  if (!existsSync(migrations)) {
    writeSchema(migrations)
  }
  return openDatabase({ path, migrations: pathToFileURL(`${migrations}/`), now: () => 1 })
}

function writeSchema(directory: string): void {
  mkdirSync(directory, { mode: 0o700 })
  writeFileSync(join(directory, '001-notes.sql'), 'CREATE TABLE note (text TEXT NOT NULL) STRICT;')
}

test('a snapshot holds what is committed, also what is only in the log, and opens as a database of its own', () => {
  const source = makeDatabase()
  const db = source.open()
  db.exec(`INSERT INTO note VALUES ('committed')`)
  db.exec(`BEGIN; INSERT INTO note VALUES ('not yet')`)
  const image = snapshotDatabase(source.path)
  db.exec('COMMIT')
  closeDatabase(db)

  const copy = makeDatabase()
  copy.open().close()
  const restored = join(copy.directory, 'restored.db')
  writeFileSync(restored, image ?? '', { mode: 0o600 })
  const again = openNotes(restored, join(copy.directory, 'schema'))
  expect(again.prepare('SELECT text FROM note').pluck().all()).toEqual(['committed'])
  expect(again.pragma('journal_mode', { simple: true })).toBe('wal')
  closeDatabase(again)
})

test('a snapshot leaves nothing on the disk', () => {
  const source = makeDatabase()
  closeDatabase(source.open())
  const before = readdirSync(source.directory)
  snapshotDatabase(source.path)
  expect(readdirSync(source.directory).filter((name) => !/-(wal|shm)$/.test(name))).toEqual(before)
})

test('there is no snapshot of a database that is not there, and none of one that others can read', () => {
  const source = makeDatabase()
  expect(snapshotDatabase(source.path)).toBeNull()
  closeDatabase(source.open())
  chmodSync(source.path, 0o644)
  expect(() => snapshotDatabase(source.path)).toThrow(expect.objectContaining({ code: 'unsafe_permissions' }))
})
