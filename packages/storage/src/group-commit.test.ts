import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, onTestFinished, test } from 'vitest'
import { scratchDirectory, writeMigrations } from '../../../test/support/scratch-directory.ts'
import { closeDatabase, openDatabase } from './database.ts'
import { GroupCommit } from './group-commit.ts'
import type { Database, Tx } from './transaction.ts'

function openNotes(): Database {
  const directory = scratchDirectory()
  const migrations = writeMigrations(directory, {
    '001-init.sql': 'CREATE TABLE note (id INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT;',
  })
  const db = openDatabase({ path: join(directory, 'note.db'), migrations, now: Date.now })
  onTestFinished(() => closeDatabase(db))
  return db
}

/** Inserts each item and answers with its row id; `batches` tells what came together. */
function noteWriter(db: Database, options: { itemsMax: number; refuse?: string; slowMs?: number }) {
  const insert = db.prepare('INSERT INTO note (body) VALUES (?)')
  const batches: (readonly string[])[] = []
  const commit = new GroupCommit<string, number>({
    db,
    itemsMax: options.itemsMax,
    run: (_tx: Tx, items) => {
      batches.push(items)
      // As a disk does: nothing else runs meanwhile.
      if (options.slowMs !== undefined) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, options.slowMs)
      return items.map((item) => {
        if (item === options.refuse) throw new Error(`refused ${item}`)
        return Number(insert.run(item).lastInsertRowid)
      })
    },
  })
  return { commit, batches }
}

function bodies(db: Database): unknown[] {
  return db.prepare('SELECT body FROM note ORDER BY id').pluck().all()
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

describe('what waits together', () => {
  test('shares one transaction, in order of arrival, and each item gets its own outcome', async () => {
    const db = openNotes()
    const { commit, batches } = noteWriter(db, { itemsMax: 100 })
    const items = Array.from({ length: 64 }, (_, index) => `note ${index}`)
    const outcomes = await Promise.all(items.map((item) => commit.submit(item)))
    expect(batches).toEqual([items])
    expect(outcomes).toEqual(items.map((_, index) => index + 1))
    expect(bodies(db)).toEqual(items)
  })

  test('shares it too when it comes one by one on new connections, where a commit takes its time', async () => {
    const db = openNotes()
    const { commit, batches } = noteWriter(db, { itemsMax: 100, slowMs: 1_000 })
    await commit.submit('the first, for which nobody waits')
    const outcomes: Promise<number>[] = []
    for (let n = 0; n < 20; n += 1) {
      commit.expectMore()
      outcomes.push(commit.submit(`note ${n}`))
      await nextTurn()
    }
    await Promise.all(outcomes)
    expect(batches.map((batch) => batch.length)).toEqual([1, 20])
  })

  test('is committed in the end although connections never cease to come', async () => {
    const db = openNotes()
    const { commit, batches } = noteWriter(db, { itemsMax: 100, slowMs: 20 })
    await commit.submit('before')
    let isCommitted = false
    const outcome = commit.submit('a').then(() => {
      isCommitted = true
    })
    while (!isCommitted) {
      commit.expectMore()
      await nextTurn()
    }
    await outcome
    expect(batches).toEqual([['before'], ['a']])
  })

  test('nothing is stored and nobody is answered before the turn is over', async () => {
    const db = openNotes()
    const { commit, batches } = noteWriter(db, { itemsMax: 100 })
    const outcome = commit.submit('a')
    await Promise.resolve()
    expect(batches).toEqual([])
    expect(commit.waiting).toBe(1)
    expect(await outcome).toBe(1)
    expect(commit.waiting).toBe(0)
  })

  test('a later turn is another transaction', async () => {
    const db = openNotes()
    const { commit, batches } = noteWriter(db, { itemsMax: 100 })
    await commit.submit('a')
    await Promise.all([commit.submit('b'), commit.submit('c')])
    expect(batches).toEqual([['a'], ['b', 'c']])
  })

  test('more than itemsMax are split in order, and the event loop runs between two batches', async () => {
    const db = openNotes()
    const { commit, batches } = noteWriter(db, { itemsMax: 2 })
    const outcomes = Promise.all(['a', 'b', 'c', 'd', 'e'].map((item) => commit.submit(item)))
    await nextTurn()
    expect(batches).toEqual([['a', 'b']])
    expect(commit.waiting).toBe(3)
    expect(await outcomes).toEqual([1, 2, 3, 4, 5])
    expect(batches).toEqual([['a', 'b'], ['c', 'd'], ['e']])
  })

  test('what is submitted by the callback of a commit joins a later batch', async () => {
    const db = openNotes()
    const insert = db.prepare('INSERT INTO note (body) VALUES (?)')
    const followers: Promise<number>[] = []
    const commit: GroupCommit<string, number> = new GroupCommit({
      db,
      itemsMax: 10,
      run: (tx, items) => {
        if (items.includes('a')) tx.afterCommit(() => followers.push(commit.submit('b')))
        return items.map((item) => Number(insert.run(item).lastInsertRowid))
      },
    })
    expect(await commit.submit('a')).toBe(1)
    expect(await Promise.all(followers)).toEqual([2])
  })
})

describe('a batch that fails', () => {
  test('rejects each of its items with the cause, stores none of them, and touches no other batch', async () => {
    const db = openNotes()
    const { commit } = noteWriter(db, { itemsMax: 2, refuse: 'bad' })
    const settled = await Promise.allSettled(['a', 'b', 'c', 'bad', 'd', 'e'].map((item) => commit.submit(item)))
    const refused = { status: 'rejected', reason: expect.objectContaining({ message: 'refused bad' }) }
    expect(settled).toEqual([
      { status: 'fulfilled', value: 1 },
      { status: 'fulfilled', value: 2 },
      refused,
      refused,
      { status: 'fulfilled', value: 3 },
      { status: 'fulfilled', value: 4 },
    ])
    expect(bodies(db)).toEqual(['a', 'b', 'd', 'e'])
  })

  test('for want of space is insufficient_storage, and the next batch works when space is back', async () => {
    const db = openNotes()
    const { commit } = noteWriter(db, { itemsMax: 10 })
    db.pragma(`max_page_count = ${Number(db.pragma('page_count', { simple: true })) + 2}`)
    await expect(commit.submit('x'.repeat(100_000))).rejects.toMatchObject({ code: 'insufficient_storage' })
    db.pragma('max_page_count = 1000000')
    expect(await commit.submit('a')).toBe(1)
  })

  test('that forgot an outcome stores nothing', async () => {
    const db = openNotes()
    const insert = db.prepare('INSERT INTO note (body) VALUES (?)')
    const commit = new GroupCommit<string, number>({
      db,
      itemsMax: 10,
      run: (_tx, items) => items.slice(1).map((item) => Number(insert.run(item).lastInsertRowid)),
    })
    await expect(commit.submit('a')).rejects.toThrow('returned 0 outcomes')
    expect(bodies(db)).toEqual([])
  })

  test('on a broken handle is storage_failed at once', async () => {
    const db = openNotes()
    const { commit, batches } = noteWriter(db, { itemsMax: 10 })
    db.pragma('query_only = ON')
    await expect(commit.submit('a')).rejects.toMatchObject({ code: 'storage_failed' })
    db.pragma('query_only = OFF')
    await expect(commit.submit('b')).rejects.toMatchObject({ code: 'storage_failed' })
    expect(batches).toEqual([])
  })
})

describe('other work', () => {
  const add = (db: Database, body: string) => db.prepare('INSERT INTO note (body) VALUES (?)').run(body)

  test('comes before the batch that waits, in the same transaction, and what follows is a batch of its own', async () => {
    const db = openNotes()
    const { commit, batches } = noteWriter(db, { itemsMax: 2 })
    const outcomes = ['a', 'b', 'c'].map((item) => commit.submit(item))
    let wasOpen = false
    const result = commit.runWithBatch(() => {
      wasOpen = db.inTransaction
      return add(db, 'work').changes
    })
    expect([wasOpen, result, db.inTransaction]).toEqual([true, 1, false])
    expect(bodies(db)).toEqual(['work', 'a', 'b'])
    expect(await Promise.all(outcomes)).toEqual([2, 3, 4])
    expect(batches).toEqual([['a', 'b'], ['c']])
  })

  test('is done although nothing waits', () => {
    const db = openNotes()
    const { commit, batches } = noteWriter(db, { itemsMax: 2 })
    commit.runWithBatch(() => add(db, 'work'))
    expect([bodies(db), batches]).toEqual([['work'], []])
  })

  test.each([
    ['of the work', 'note', true],
    ['of the batch', 'bad', false],
  ])('stores nothing after a failure %s, and all of them are told', async (_of, item, throws) => {
    const db = openNotes()
    const { commit } = noteWriter(db, { itemsMax: 2, refuse: 'bad' })
    const submitted = commit.submit(item)
    const work = () => {
      add(db, 'work')
      if (throws) throw new Error('refused work')
    }
    expect(() => commit.runWithBatch(work)).toThrow('refused')
    await expect(submitted).rejects.toThrow('refused')
    expect(bodies(db)).toEqual([])
  })
})

describe('drain', () => {
  test('commits at once what is waiting, all of it', async () => {
    const db = openNotes()
    const { commit } = noteWriter(db, { itemsMax: 2 })
    const outcomes = Promise.all(['a', 'b', 'c'].map((item) => commit.submit(item)))
    await commit.drain()
    expect(commit.waiting).toBe(0)
    expect(bodies(db)).toEqual(['a', 'b', 'c'])
    expect(await outcomes).toEqual([1, 2, 3])
  })

  test('of nothing returns, and submitting afterwards works', async () => {
    const db = openNotes()
    const { commit } = noteWriter(db, { itemsMax: 2 })
    await commit.drain()
    expect(await commit.submit('a')).toBe(1)
  })
})

test('itemsMax must be a positive integer', () => {
  const db = openNotes()
  for (const itemsMax of [0, -1, 1.5, Number.NaN]) {
    expect(() => noteWriter(db, { itemsMax }), String(itemsMax)).toThrow(RangeError)
  }
})

test('whatever the bursts and the batch size, everything is stored once, in order of arrival', async () => {
  const bursts = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 8 })
  await fc.assert(
    fc.asyncProperty(bursts, fc.integer({ min: 1, max: 5 }), async (sizes, itemsMax) => {
      const db = openNotes()
      const { commit, batches } = noteWriter(db, { itemsMax })
      const outcomes: Promise<number>[] = []
      const items: string[] = []
      for (const size of sizes) {
        for (let index = 0; index < size; index += 1) {
          items.push(`note ${items.length}`)
          outcomes.push(commit.submit(items.at(-1) ?? ''))
        }
        await nextTurn()
      }
      expect(await Promise.all(outcomes)).toEqual(items.map((_, index) => index + 1))
      expect(bodies(db)).toEqual(items)
      expect(batches.every((batch) => batch.length >= 1 && batch.length <= itemsMax)).toBe(true)
      closeDatabase(db)
    }),
    { numRuns: 30 },
  )
})
