import { closeSync, openSync, statSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { MeshError } from '@claudemesh/protocol'
import { describe, expect, onTestFinished, test } from 'vitest'
import { scratchDirectory, writeMigrations } from '../../../test/support/scratch-directory.ts'
import { closeDatabase, openDatabase } from './database.ts'
import { type Database, immediate, isBroken, read, type Tx } from './transaction.ts'

function openNotes(): Database {
  const directory = scratchDirectory()
  const migrations = writeMigrations(directory, {
    '001-init.sql': 'CREATE TABLE note (id INTEGER PRIMARY KEY, body TEXT NOT NULL UNIQUE) STRICT;',
  })
  const db = openDatabase({ path: join(directory, 'note.db'), migrations, now: Date.now })
  onTestFinished(() => closeDatabase(db))
  return db
}

function insert(db: Database, body: string): void {
  db.prepare('INSERT INTO note (body) VALUES (?)').run(body)
}

function bodies(db: Database): unknown[] {
  return db.prepare('SELECT body FROM note ORDER BY id').pluck().all()
}

describe('a transaction', () => {
  test('returns what its function returned, after the commit', () => {
    const db = openNotes()
    const result = immediate(db, () => {
      insert(db, 'a')
      return 7
    })
    expect(result).toBe(7)
    expect(db.inTransaction).toBe(false)
    expect(bodies(db)).toEqual(['a'])
  })

  test('that throws leaves nothing and throws the same error', () => {
    const db = openNotes()
    const error = new Error('no')
    const attempt = () =>
      immediate(db, () => {
        insert(db, 'a')
        throw error
      })
    expect(attempt).toThrow(error)
    expect(db.inTransaction).toBe(false)
    expect(bodies(db)).toEqual([])
    expect(isBroken(db)).toBe(false)
  })

  test('that breaks a constraint leaves nothing and lets the next one work', () => {
    const db = openNotes()
    const attempt = () =>
      immediate(db, () => {
        insert(db, 'a')
        insert(db, 'a')
      })
    expect(attempt).toThrow(expect.objectContaining({ code: 'SQLITE_CONSTRAINT_UNIQUE' }))
    immediate(db, () => insert(db, 'b'))
    expect(bodies(db)).toEqual(['b'])
  })

  test('cannot be opened inside another one', () => {
    const db = openNotes()
    expect(() => immediate(db, () => immediate(db, () => 1))).toThrow('already open')
    expect(db.inTransaction).toBe(false)
  })

  test('refuses a function that is not synchronous, and rolls back what it wrote', () => {
    const db = openNotes()
    const attempt = () =>
      immediate(db, async () => {
        insert(db, 'a')
      })
    expect(attempt).toThrow(TypeError)
    expect(bodies(db)).toEqual([])
  })

  test('has the write lock from its beginning', () => {
    const db = openNotes()
    const migrations = writeMigrations(scratchDirectory(), { '001-init.sql': '' })
    const other = openDatabase({ path: db.name, migrations, now: Date.now })
    onTestFinished(() => closeDatabase(other))
    other.pragma('busy_timeout = 0')
    immediate(db, () => {
      const attempt = () => immediate(other, () => insert(other, 'b'))
      expect(attempt).toThrow(expect.objectContaining({ code: 'storage_failed', retryable: true }))
      insert(db, 'a')
    })
    expect(isBroken(other), 'a lock held by another is no failure of the disk').toBe(false)
    immediate(other, () => insert(other, 'b'))
    expect(bodies(db)).toEqual(['a', 'b'])
  })
})

describe('afterCommit', () => {
  test('callbacks run after the commit, in order of registration', () => {
    const db = openNotes()
    const seen: unknown[] = []
    immediate(db, (tx) => {
      tx.afterCommit(() => seen.push(['first', db.inTransaction, bodies(db)]))
      tx.afterCommit(() => seen.push('second'))
      insert(db, 'a')
      seen.push('written')
    })
    expect(seen).toEqual(['written', ['first', false, ['a']], 'second'])
  })

  test('callbacks of a transaction that failed never run', () => {
    const db = openNotes()
    const seen: unknown[] = []
    const attempt = () =>
      immediate(db, (tx) => {
        tx.afterCommit(() => seen.push('never'))
        throw new Error('no')
      })
    expect(attempt).toThrow('no')
    expect(seen).toEqual([])
  })

  test('a callback may open a transaction of its own', () => {
    const db = openNotes()
    immediate(db, (tx) => tx.afterCommit(() => immediate(db, () => insert(db, 'b'))))
    expect(bodies(db)).toEqual(['b'])
  })

  test('nothing can be registered once the transaction is over', () => {
    const db = openNotes()
    const kept: Tx[] = []
    immediate(db, (tx) => kept.push(tx))
    expect(() => kept[0]?.afterCommit(() => undefined)).toThrow('the transaction is over')
  })
})

describe('when the disk is full', () => {
  test('the transaction is insufficient_storage, leaves nothing, and work goes on when space is back', () => {
    const db = openNotes()
    immediate(db, () => insert(db, 'before'))
    db.pragma(`max_page_count = ${Number(db.pragma('page_count', { simple: true })) + 2}`)
    const attempt = () => immediate(db, () => insert(db, 'x'.repeat(100_000)))
    expect(attempt).toThrow(expect.objectContaining({ code: 'insufficient_storage', status: 507, retryable: true }))
    expect(db.inTransaction).toBe(false)
    expect(isBroken(db)).toBe(false)
    expect(bodies(db)).toEqual(['before'])
    db.pragma('max_page_count = 1000000')
    immediate(db, () => insert(db, 'after'))
    expect(bodies(db)).toEqual(['before', 'after'])
  })
})

describe('when the handle can no longer be trusted', () => {
  test('a refused write is storage_failed with its cause, and every later transaction is refused at once', () => {
    const db = openNotes()
    db.pragma('query_only = ON')
    const failure = catchError(() => immediate(db, () => insert(db, 'a')))
    expect(failure).toMatchObject({ code: 'storage_failed', cause: { code: 'SQLITE_READONLY' } })
    expect(isBroken(db)).toBe(true)
    db.pragma('query_only = OFF')
    let ran = false
    const later = catchError(() =>
      immediate(db, () => {
        ran = true
      }),
    )
    expect(later).toMatchObject({ code: 'storage_failed', cause: { code: 'SQLITE_READONLY' } })
    expect(ran).toBe(false)
    expect(bodies(db), 'reading goes on').toEqual([])
  })

  const meetings: readonly (readonly [where: string, meet: (db: Database) => unknown])[] = [
    ['inside a transaction', (db) => immediate(db, () => bodies(db))],
    ['by a read', (db) => read(db, () => bodies(db))],
  ]
  test.each(meetings)('damage that is met %s breaks the handle', (_, meet) => {
    const db = openNotes()
    immediate(db, () => {
      for (let index = 0; index < 500; index += 1) insert(db, `${index} ${'x'.repeat(400)}`)
    })
    db.pragma('wal_checkpoint(TRUNCATE)')
    damageFrom(db.name, 12 * 4096)
    db.pragma('shrink_memory')
    expect(catchError(() => meet(db))).toMatchObject({ code: 'storage_failed', cause: { code: 'SQLITE_CORRUPT' } })
    expect(isBroken(db)).toBe(true)
  })
})

function damageFrom(path: string, position: number): void {
  const descriptor = openSync(path, 'r+')
  writeSync(descriptor, Buffer.alloc(statSync(path).size - position, 0x5a), 0, undefined, position)
  closeSync(descriptor)
}

function catchError(run: () => unknown): unknown {
  try {
    run()
  } catch (error) {
    expect(error).toBeInstanceOf(MeshError)
    return error
  }
  throw new Error('nothing was thrown')
}
