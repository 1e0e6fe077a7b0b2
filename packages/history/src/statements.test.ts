import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Database, immediate, openDatabase } from '@claudemesh/storage'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { migrations } from './generation.ts'
import { prepareRead, prepareStatements } from './statements.ts'

const directory = mkdtempSync(join(tmpdir(), 'claudemesh-history-plans-'))
let db: Database

beforeAll(() => {
  db = openDatabase({ path: join(directory, 'gen-1.db'), migrations, now: () => 0 })
  const { insert } = prepareStatements(db)
  const texts = { sender: null, destination: null, broker_message_id: null, history_id: null, body: 'x', meta: null }
  immediate(db, () => {
    for (let key = 1; key <= 20_000; key += 1) {
      const row_id = Buffer.alloc(32)
      row_id.writeUInt32BE(key)
      const own = { key, at: key, client_message_id: `row-${key}`, row_id, recorded_at: key }
      insert({ ...own, ...texts, direction: 'sent', mesh: 'home', state: 'queued' })
    }
  })
})
afterAll(() => {
  db.close()
  rmSync(directory, { recursive: true, force: true })
})

test('a read goes to its place by the key, and sorts nothing', () => {
  const { source } = prepareRead(db, ['seq', 'body'])
  const plan = db.prepare(`EXPLAIN QUERY PLAN ${source}`).all(0, 0) as { detail: string }[]
  expect(plan.map(({ detail }) => detail)).toEqual([
    'SEARCH history_row USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)',
  ])
})

/** A function in the place of a column is called for each row that the statement steps on. */
test('a read of what is new steps on nothing else', () => {
  let stepped = 0
  db.function('stepped', { deterministic: false }, () => {
    stepped += 1
    return 1
  })
  const counted = prepareRead(db, ['seq']).source.replace('ORDER BY', 'AND stepped() = 1 ORDER BY')
  const rows = db.prepare(counted).all(19_990, Number.MAX_SAFE_INTEGER)
  expect([rows.length, stepped]).toEqual([10, 10])
  expect(db.prepare(counted).all(20_000, Number.MAX_SAFE_INTEGER)).toEqual([])
  expect(stepped).toBe(10)
})
