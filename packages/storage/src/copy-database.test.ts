import { chmodSync, existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { expect, test } from 'vitest'
import { scratchDirectory } from '../../../test/support/scratch-directory.ts'
import { copyDatabase } from './copy-database.ts'
import { closeDatabase, openDatabase } from './database.ts'

function makeDatabase() {
  const directory = scratchDirectory()
  const schema = join(directory, 'schema')
  mkdirSync(schema, { mode: 0o700 })
  writeFileSync(join(schema, '001-notes.sql'), 'CREATE TABLE note (text TEXT NOT NULL) STRICT;')
  const open = (path: string) => openDatabase({ path, migrations: pathToFileURL(`${schema}/`), now: () => 1 })
  const copies = join(directory, 'copies')
  mkdirSync(copies, { mode: 0o700 })
  return { path: join(directory, 'notes.db'), copies, open }
}

test('a copy holds what is committed, also what is only in the log, for its owner alone', () => {
  const { path, copies, open } = makeDatabase()
  const db = open(path)
  db.exec(`INSERT INTO note VALUES ('committed')`)
  db.exec(`BEGIN; INSERT INTO note VALUES ('not yet')`)
  const copied = join(copies, 'copy.db')
  copyDatabase(path, copied)
  db.exec('COMMIT')
  closeDatabase(db)

  expect(statSync(copied).mode & 0o777).toBe(0o600)
  expect(readdirSync(copies)).toEqual(['copy.db'])
  const again = open(copied)
  expect(again.prepare('SELECT text FROM note').pluck().all()).toEqual(['committed'])
  closeDatabase(again)
})

test('what is at the path already stays as it is', () => {
  const { path, copies, open } = makeDatabase()
  closeDatabase(open(path))
  const taken = join(copies, 'taken.db')
  writeFileSync(taken, 'mine')
  expect(() => copyDatabase(path, taken)).toThrow(expect.objectContaining({ code: 'invalid_request' }))
  expect(statSync(taken).size).toBe(4)
})

test('a damaged database makes no copy, and leaves nothing behind', () => {
  const { path, copies, open } = makeDatabase()
  const db = open(path)
  for (let n = 0; n < 500; n += 1) db.prepare('INSERT INTO note VALUES (?)').run('x'.repeat(500))
  closeDatabase(db)
  writeFileSync(path, Buffer.alloc(4096, 0x5a), { flag: 'r+', mode: 0o600 })
  expect(() => copyDatabase(path, join(copies, 'copy.db'))).toThrow()
  expect(readdirSync(copies)).toEqual([])
})

test('there is no copy of a database that is not there, and none of one that others can read', () => {
  const { path, copies, open } = makeDatabase()
  const copied = join(copies, 'copy.db')
  expect(() => copyDatabase(path, copied)).toThrow(expect.objectContaining({ code: 'not_found' }))
  closeDatabase(open(path))
  chmodSync(path, 0o644)
  expect(() => copyDatabase(path, copied)).toThrow(expect.objectContaining({ code: 'unsafe_permissions' }))
  expect(existsSync(copied)).toBe(false)
})
