import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { scratchDirectory, writeMigrations } from '../../../test/support/scratch-directory.ts'
import { closeDatabase, openDatabase } from './database.ts'
import { migrate, schemaVersion } from './migrate.ts'
import { type Database, immediate } from './transaction.ts'

const first = { '001-init.sql': 'CREATE TABLE note (id INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT;' }
const second = { ...first, '002-read-mark.sql': 'ALTER TABLE note ADD COLUMN read_at INTEGER;' }
const now = () => 1_700_000_000_000

function openWith(directory: string, files: Readonly<Record<string, string>>): Database {
  const db = openDatabase({ path: join(directory, 'note.db'), migrations: writeMigrations(directory, files), now })
  onTestFinished(() => closeDatabase(db))
  return db
}

function recorded(db: Database): unknown[] {
  return db.prepare('SELECT version, name, applied_at FROM schema_migration ORDER BY version').all()
}

function columns(db: Database): unknown[] {
  return db.prepare("SELECT name FROM pragma_table_info('note')").pluck().all()
}

describe('migrations', () => {
  test('bring a new database to the newest schema and are recorded with name and time', () => {
    const db = openWith(scratchDirectory(), second)
    expect(schemaVersion(db)).toBe(2)
    expect(recorded(db)).toEqual([
      { version: 1, name: '001-init', applied_at: now() },
      { version: 2, name: '002-read-mark', applied_at: now() },
    ])
    expect(columns(db)).toEqual(['id', 'body', 'read_at'])
  })

  test('continue from where an older version left the database, and keep its rows', () => {
    const directory = scratchDirectory()
    const old = openWith(directory, first)
    immediate(old, () => old.prepare('INSERT INTO note (body) VALUES (?)').run('kept'))
    closeDatabase(old)
    const db = openWith(directory, second)
    expect(schemaVersion(db)).toBe(2)
    expect(db.prepare('SELECT body, read_at FROM note').all()).toEqual([{ body: 'kept', read_at: null }])
  })

  test('that are all applied already write nothing', () => {
    const directory = scratchDirectory()
    closeDatabase(openWith(directory, second))
    const db = openWith(directory, second)
    db.pragma('query_only = ON')
    expect(() => migrate(db, { directory: writeMigrations(directory, second), now })).not.toThrow()
  })

  test('of a newer version are refused, and the database is left untouched', () => {
    const directory = scratchDirectory()
    closeDatabase(openWith(directory, second))
    expect(() => openWith(directory, first)).toThrow(expect.objectContaining({ code: 'schema_too_new' }))
    expect(recorded(openWith(directory, second))).toHaveLength(2)
  })
})

describe('a migration that fails', () => {
  const rows: { name: string; sql: string; code: string }[] = [
    {
      name: 'in its last statement',
      sql: 'CREATE TABLE extra (id INTEGER) STRICT; CREATE TABLE note (id INTEGER) STRICT;',
      code: 'start_failed',
    },
    {
      name: 'by ending the transaction',
      sql: 'CREATE TABLE extra (id INTEGER) STRICT; ROLLBACK;',
      code: 'start_failed',
    },
  ]
  test.each(rows)('$name leaves nothing of itself and no record', ({ sql, code }) => {
    const directory = scratchDirectory()
    expect(() => openWith(directory, { ...first, '002-broken.sql': sql })).toThrow(expect.objectContaining({ code }))
    const db = openWith(directory, first)
    expect(schemaVersion(db)).toBe(1)
    expect(db.prepare("SELECT count(*) FROM sqlite_schema WHERE name = 'extra'").pluck().get()).toBe(0)
  })

  test('for want of space is insufficient_storage, and runs when space is back', () => {
    const directory = scratchDirectory()
    const db = openWith(directory, first)
    const large = `CREATE TABLE extra (body TEXT) STRICT; INSERT INTO extra SELECT hex(randomblob(100000));`
    const migrations = writeMigrations(directory, { ...first, '002-large.sql': large })
    db.pragma(`max_page_count = ${Number(db.pragma('page_count', { simple: true })) + 2}`)
    expect(() => migrate(db, { directory: migrations, now })).toThrow(
      expect.objectContaining({ code: 'insufficient_storage' }),
    )
    expect(schemaVersion(db)).toBe(1)
    db.pragma('max_page_count = 1000000')
    migrate(db, { directory: migrations, now })
    expect(schemaVersion(db)).toBe(2)
  })
})

describe('a directory of migrations is refused', () => {
  const rows: { name: string; files: Readonly<Record<string, string>> }[] = [
    { name: 'that does not begin with 001', files: { '002-late.sql': '' } },
    { name: 'with a gap', files: { ...first, '003-late.sql': '' } },
    { name: 'with one number twice', files: { ...first, '001-other.sql': '' } },
    { name: 'with a name of another form', files: { 'init.sql': '' } },
  ]
  test.each(rows)('$name', ({ files }) => {
    expect(() => openWith(scratchDirectory(), files)).toThrow('breaks the sequence')
  })

  test('but files that are not SQL are none of its business', () => {
    expect(schemaVersion(openWith(scratchDirectory(), { ...first, 'README.md': 'why' }))).toBe(1)
  })
})
