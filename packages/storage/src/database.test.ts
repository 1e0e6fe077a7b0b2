import {
  chmodSync,
  closeSync,
  existsSync,
  openSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import BetterSqlite3 from 'better-sqlite3'
import { describe, expect, test } from 'vitest'
import { scratchDirectory, writeMigrations } from '../../../test/support/scratch-directory.ts'
import {
  assertLibrary,
  checkIntegrity,
  checkpoint,
  closeDatabase,
  libraryVersion,
  openDatabase,
  synced,
} from './database.ts'
import { type Database, immediate } from './transaction.ts'

const schema = { '001-init.sql': 'CREATE TABLE note (id INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT;' }
const pageBytes = 4096

function openIn(directory: string): Database {
  const migrations = writeMigrations(directory, schema)
  return openDatabase({ path: join(directory, 'note.db'), migrations, now: () => 1_700_000_000_000 })
}

function insertNotes(db: Database, count: number): void {
  const insert = db.prepare('INSERT INTO note (body) VALUES (?)')
  immediate(db, () => {
    for (let index = 0; index < count; index += 1) insert.run(`note ${index} ${'x'.repeat(400)}`)
  })
}

function countNotes(db: Database): unknown {
  return db.prepare('SELECT count(*) FROM note').pluck().get()
}

function overwrite(path: string, options: { at: number; bytes: Uint8Array }): void {
  const descriptor = openSync(path, 'r+')
  writeSync(descriptor, options.bytes, 0, options.bytes.length, options.at)
  closeSync(descriptor)
}

describe('what a handle is set to', () => {
  const rows: [pragma: string, value: unknown][] = [
    ['journal_mode', 'wal'],
    ['synchronous', 2],
    ['fullfsync', 1],
    ['foreign_keys', 1],
    ['cell_size_check', 1],
    ['mmap_size', 0],
    ['busy_timeout', 5000],
  ]
  test.each(rows)('%s is %s', (pragma, value) => {
    const db = openIn(scratchDirectory())
    expect(db.pragma(pragma, { simple: true })).toBe(value)
    closeDatabase(db)
  })

  test('the settings hold again after the database was closed and opened', () => {
    const directory = scratchDirectory()
    closeDatabase(openIn(directory))
    const db = openIn(directory)
    expect(db.pragma('synchronous', { simple: true })).toBe(2)
    closeDatabase(db)
  })

  test('where the log is synced at checkpoints, one commit can be asked for that is synced itself', () => {
    const migrations = writeMigrations(scratchDirectory(), schema)
    const path = join(scratchDirectory(), 'note.db')
    const db = openDatabase({ path, migrations, now: Date.now, syncs: 'checkpoints' })
    const level = () => db.pragma('synchronous', { simple: true })
    expect(level()).toBe(1)
    expect(synced(db, level)).toBe(2)
    expect(() => synced(db, () => expect.unreachable())).toThrow()
    expect(level()).toBe(1)
    closeDatabase(db)
  })

  test('where every commit is synced, none is asked for by itself', () => {
    const db = openIn(scratchDirectory())
    expect(() => synced(db, () => undefined)).toThrow('every commit of this database is synced')
    expect(db.pragma('synchronous', { simple: true })).toBe(2)
    closeDatabase(db)
  })

  test('the file, its WAL and its shared memory are readable by the owner alone, whatever the umask', () => {
    const directory = scratchDirectory()
    const umask = process.umask(0)
    try {
      const db = openIn(directory)
      insertNotes(db, 1)
      for (const suffix of ['', '-wal', '-shm']) {
        expect(statSync(join(directory, `note.db${suffix}`)).mode & 0o777, suffix).toBe(0o600)
      }
      closeDatabase(db)
    } finally {
      process.umask(umask)
    }
  })
})

describe('closing', () => {
  test('moves every row into the file and leaves no WAL', () => {
    const directory = scratchDirectory()
    const db = openIn(directory)
    insertNotes(db, 10)
    closeDatabase(db)
    expect(existsSync(join(directory, 'note.db-wal'))).toBe(false)
    const again = openIn(directory)
    expect(countNotes(again)).toBe(10)
    closeDatabase(again)
  })

  test('twice changes nothing', () => {
    const db = openIn(scratchDirectory())
    closeDatabase(db)
    expect(() => closeDatabase(db)).not.toThrow()
  })

  test('a checkpoint moves committed pages into the file while it is open', () => {
    const directory = scratchDirectory()
    const db = openIn(directory)
    const before = statSync(join(directory, 'note.db')).size
    insertNotes(db, 100)
    checkpoint(db)
    expect(statSync(join(directory, 'note.db')).size).toBeGreaterThan(before)
    closeDatabase(db)
  })
})

test('a rollback journal that a killed start left behind is played back', () => {
  const directory = scratchDirectory()
  const killed = scratchDirectory()
  const live = new BetterSqlite3(join(directory, 'note.db'))
  live.exec(`PRAGMA cache_size = 1; ${schema['001-init.sql']}`)
  live.exec("INSERT INTO note (body) VALUES ('kept'); BEGIN IMMEDIATE; UPDATE note SET body = 'lost'")
  // More than the cache holds: the journal is synced and pages of the open transaction are in the file.
  live.exec(`INSERT INTO note (body) VALUES (${Array(50).fill('hex(randomblob(2000))').join('), (')})`)
  for (const suffix of ['', '-journal']) {
    writeFileSync(join(killed, `note.db${suffix}`), readFileSync(join(directory, `note.db${suffix}`)), { mode: 0o600 })
  }
  live.close()
  const migrations = writeMigrations(killed, { '001-more.sql': 'CREATE TABLE more (id INTEGER PRIMARY KEY) STRICT;' })
  const db = openDatabase({ path: join(killed, 'note.db'), migrations, now: Date.now })
  expect(db.prepare('SELECT body FROM note').pluck().all()).toEqual(['kept'])
  closeDatabase(db)
})

describe('a damaged file is refused as database_corrupt', () => {
  const rows: { name: string; damage: (path: string) => void }[] = [
    {
      name: 'text instead of a database',
      damage: (path) => writeFileSync(path, 'this was a database once. '.repeat(200)),
    },
    { name: 'a header of zeros', damage: (path) => overwrite(path, { at: 0, bytes: Buffer.alloc(100) }) },
    {
      name: 'the schema page overwritten',
      damage: (path) => overwrite(path, { at: 100, bytes: Buffer.alloc(pageBytes - 100, 0xff) }),
    },
    {
      name: 'a page in the middle overwritten',
      damage: (path) => overwrite(path, { at: 12 * pageBytes, bytes: Buffer.alloc(pageBytes, 0x5a) }),
    },
    {
      name: 'a page in the middle zeroed',
      damage: (path) => overwrite(path, { at: 12 * pageBytes, bytes: Buffer.alloc(pageBytes) }),
    },
    { name: 'the last half cut off', damage: (path) => truncateSync(path, 10 * pageBytes) },
    {
      name: 'nothing left of it, but its WAL',
      damage: (path) => {
        truncateSync(path, 0)
        writeFileSync(`${path}-wal`, Buffer.alloc(pageBytes, 1))
      },
    },
  ]
  test.each(rows)('$name', ({ damage }) => {
    const directory = scratchDirectory()
    const db = openIn(directory)
    insertNotes(db, 200)
    closeDatabase(db)
    const path = join(directory, 'note.db')
    expect(statSync(path).size).toBeGreaterThan(20 * pageBytes)
    damage(path)
    const damaged = readFileSync(path)
    expect(() => openIn(directory)).toThrow(expect.objectContaining({ code: 'database_corrupt', data: { path } }))
    expect(readFileSync(path).equals(damaged), 'the file is left as it was found').toBe(true)
  })

  test('also when a killed process left its last rows in the WAL, which stays where it is', () => {
    const directory = scratchDirectory()
    const db = openIn(directory)
    insertNotes(db, 200)
    db.pragma('wal_checkpoint(TRUNCATE)')
    insertNotes(db, 1)
    const killed = scratchDirectory()
    for (const suffix of ['', '-wal']) {
      writeFileSync(join(killed, `note.db${suffix}`), readFileSync(join(directory, `note.db${suffix}`)), {
        mode: 0o600,
      })
    }
    closeDatabase(db)
    const path = join(killed, 'note.db')
    overwrite(path, { at: 12 * pageBytes, bytes: Buffer.alloc(pageBytes, 0x5a) })
    const before = [readFileSync(path), readFileSync(`${path}-wal`)]
    expect(() => openIn(killed)).toThrow(expect.objectContaining({ code: 'database_corrupt' }))
    expect([readFileSync(path), readFileSync(`${path}-wal`)]).toEqual(before)
  })

  test('a database larger than the bound of the whole check is read at both ends of every table', () => {
    const directory = scratchDirectory()
    const db = openIn(directory)
    insertNotes(db, 200)
    expect(() => checkIntegrity(db, 0)).not.toThrow()
    closeDatabase(db)
    const path = join(directory, 'note.db')
    overwrite(path, { at: statSync(path).size - pageBytes, bytes: Buffer.alloc(pageBytes, 0x5a) })
    const migrations = writeMigrations(directory, schema)
    expect(() => openDatabase({ path, migrations, now: Date.now })).toThrow(
      expect.objectContaining({ code: 'database_corrupt' }),
    )
  })
})

describe('a start is refused', () => {
  test('when others may read the file, with the command that mends it', () => {
    const directory = scratchDirectory()
    const path = join(directory, 'note.db')
    writeFileSync(path, '')
    chmodSync(path, 0o644)
    expect(() => openIn(directory)).toThrow(
      expect.objectContaining({ code: 'unsafe_permissions', data: { command: `chmod 600 ${path}` } }),
    )
  })

  test('when the directory is missing', () => {
    const directory = scratchDirectory()
    const migrations = writeMigrations(directory, schema)
    const open = () => openDatabase({ path: join(directory, 'missing', 'note.db'), migrations, now: Date.now })
    expect(open).toThrow(expect.objectContaining({ code: 'ENOENT' }))
  })

  const versions: [version: string, accepted: boolean][] = [
    ['3.8.11', false],
    ['3.51.2', false],
    ['3.51.3', true],
    ['3.51.10', true],
    ['3.52.0', true],
    ['4.0.0', true],
  ]
  test.each(versions)('SQLite %s: accepted is %s', (version, accepted) => {
    const check = () => assertLibrary(version)
    if (accepted) expect(check).not.toThrow()
    else expect(check).toThrow(expect.objectContaining({ code: 'sqlite_unsafe' }))
  })

  test('the library in use is one of the accepted ones', () => {
    const db = openIn(scratchDirectory())
    expect(() => assertLibrary(libraryVersion(db))).not.toThrow()
    closeDatabase(db)
  })
})
