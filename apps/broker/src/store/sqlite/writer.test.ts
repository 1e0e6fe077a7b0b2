import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { closeDatabase, type Database, openDatabase } from '@claudemesh/storage'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { Writer } from './writer.ts'

let directory: string
let db: Database
let writer: Writer

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'claudemesh-test-'))
  mkdirSync(join(directory, 'schema'))
  writeFileSync(join(directory, 'schema/001-init.sql'), 'CREATE TABLE item (name TEXT PRIMARY KEY, data BLOB) STRICT')
  const migrations = pathToFileURL(`${directory}/schema/`)
  db = openDatabase({ path: join(directory, 'test.db'), migrations, now: () => Date.now() })
  writer = new Writer(db)
})
afterEach(() => {
  closeDatabase(db)
  rmSync(directory, { recursive: true })
})

function insert(name: string, bytes = 0): Promise<number> {
  return writer.write(() => db.prepare('INSERT INTO item VALUES (?, ?)').run(name, Buffer.alloc(bytes)).changes)
}

function names(): unknown {
  return db.prepare('SELECT name FROM item ORDER BY name').pluck().all()
}

test('units that wait together are one transaction, and each gets what it returned', async () => {
  let commits = 0
  const count = (name: string) =>
    writer.write((tx) => {
      tx.afterCommit(() => {
        commits += 1
      })
      db.prepare('INSERT INTO item VALUES (?, NULL)').run(name)
      return `${name} ${db.inTransaction}`
    })
  const settled = Promise.all([count('a'), count('b')])
  // Neither is done before both are: they share the commit.
  expect(commits).toBe(0)
  expect(await settled).toEqual(['a true', 'b true'])
  expect([commits, names()]).toEqual([2, ['a', 'b']])
})

test('a unit that fails leaves nothing of itself and everything of its neighbours', async () => {
  const failing = writer.write(() => {
    db.prepare('INSERT INTO item VALUES (?, NULL)').run('half')
    throw new Error('ours')
  })
  const outcomes = await Promise.allSettled([insert('a'), failing, insert('a'), insert('b')])
  expect(outcomes.map((outcome) => outcome.status)).toEqual(['fulfilled', 'rejected', 'rejected', 'fulfilled'])
  expect(outcomes[1]).toMatchObject({ reason: { message: 'ours' } })
  expect(names()).toEqual(['a', 'b'])
})

test('a unit that fails alone leaves nothing either', async () => {
  const failing = writer.write(() => {
    db.prepare('INSERT INTO item VALUES (?, NULL)').run('half')
    throw new Error('ours')
  })
  await expect(failing).rejects.toThrow('ours')
  expect(names()).toEqual([])
})

test('a full disk fails every unit of the transaction with its code, and later ones are taken once there is room', async () => {
  await insert('before')
  const pages = Number(db.pragma('page_count', { simple: true }))
  db.pragma(`max_page_count = ${pages + 2}`)
  const outcomes = await Promise.allSettled([insert('small'), insert('large', 100_000), insert('other')])
  for (const outcome of outcomes) expect(outcome).toMatchObject({ reason: { code: 'insufficient_storage' } })
  expect(names()).toEqual(['before'])
  db.pragma('max_page_count = 100000')
  await Promise.all([insert('small'), insert('large', 100_000)])
  expect(names()).toEqual(['before', 'large', 'small'])
})
