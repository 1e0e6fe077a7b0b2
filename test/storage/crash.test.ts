import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { closeDatabase, type Database, openDatabase, schemaVersion } from '@claudemesh/storage'
import { describe, expect, onTestFinished, test } from 'vitest'
import { startChild } from '../support/child.ts'
import { scratchDirectory, writeMigrations } from '../support/scratch-directory.ts'

const first = { '001-init.sql': 'CREATE TABLE note (id INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT;' }
const second = { ...first, '002-more.sql': 'CREATE TABLE extra (id INTEGER PRIMARY KEY) STRICT;' }

function notesIn(directory: string, files: Readonly<Record<string, string>> = first) {
  const schema = writeMigrations(directory, files)
  return { path: join(directory, 'note.db'), schema, schemaPath: fileURLToPath(schema).replace(/\/$/, '') }
}

function reopen(notes: { path: string; schema: URL }): Database {
  const db = openDatabase({ path: notes.path, migrations: notes.schema, now: Date.now })
  onTestFinished(() => closeDatabase(db))
  return db
}

function storedIds(db: Database): unknown[] {
  return db.prepare('SELECT id FROM note ORDER BY id').pluck().all()
}

function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index + 1)
}

describe('a process killed in the middle of its writing', () => {
  const rows: { point: string; stored: number; acknowledged: number }[] = [
    { point: 'note.before_commit', stored: 0, acknowledged: 0 },
    { point: 'note.before_commit:3', stored: 8, acknowledged: 8 },
    { point: 'note.committed', stored: 4, acknowledged: 0 },
    { point: 'note.committed:3', stored: 12, acknowledged: 8 },
  ]
  test.each(rows)('at $point: $stored rows are there, $acknowledged of them acknowledged', async (row) => {
    const notes = notesIn(scratchDirectory())
    const environment = { CLAUDEMESH_CRASH_AT: row.point }
    const writer = startChild('storage/children/write-notes.mjs', [notes.path, notes.schemaPath, '4', '1024'], {
      environment,
    })
    expect(await writer.exited).toMatchObject({ signal: 'SIGKILL', stderr: '' })
    expect(writer.lines).toEqual(upTo(row.acknowledged).map(String))
    expect(storedIds(reopen(notes))).toEqual(upTo(row.stored))
  })

  test('from outside, at no particular point: whatever it acknowledged is there, and batches are whole', async () => {
    const kills = 5
    for (let round = 1; round <= kills; round += 1) {
      const notes = notesIn(scratchDirectory())
      const writer = startChild('storage/children/write-notes.mjs', [notes.path, notes.schemaPath, '16', '1024'])
      await writer.printed(round * 150)
      writer.process.kill('SIGKILL')
      await writer.exited
      const stored = storedIds(reopen(notes))
      expect(stored.length).toBeGreaterThanOrEqual(writer.lines.length)
      expect(stored.length % 16).toBe(0)
      expect(stored).toEqual(upTo(stored.length))
    }
  })
})

describe('a migration', () => {
  test.each(['migration.recorded', 'migration.before_commit'])(
    'killed at %s leaves nothing and runs next time',
    async (point) => {
      const directory = scratchDirectory()
      closeDatabase(reopen(notesIn(directory)))
      const notes = notesIn(directory, second)
      const environment = { CLAUDEMESH_CRASH_AT: point }
      const killed = startChild('storage/children/open-database.mjs', [notes.path, notes.schemaPath], { environment })
      expect(await killed.exited).toMatchObject({ signal: 'SIGKILL', stderr: '' })
      const older = reopen(notesIn(directory))
      expect(schemaVersion(older)).toBe(1)
      closeDatabase(older)
      expect(schemaVersion(reopen(notesIn(directory, second)))).toBe(2)
    },
  )

  test('runs once however many processes start together on a new database', async () => {
    const slow = `${second['002-more.sql']}
      INSERT INTO extra SELECT value FROM (WITH RECURSIVE n(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n LIMIT 50000) SELECT value FROM n);`
    const files = { ...first, '002-more.sql': slow }
    const rounds = 3
    for (let round = 0; round < rounds; round += 1) {
      const notes = notesIn(scratchDirectory(), files)
      const starters = Array.from({ length: 4 }, () =>
        startChild('storage/children/open-database.mjs', [notes.path, notes.schemaPath]),
      )
      for (const starter of starters) {
        expect(await starter.exited).toEqual({ code: 0, signal: null, stderr: '' })
        expect(starter.lines).toEqual(['2'])
      }
      const db = reopen(notes)
      expect(db.prepare('SELECT version FROM schema_migration ORDER BY version').pluck().all()).toEqual([1, 2])
      expect(db.prepare('SELECT count(*) FROM extra').pluck().get()).toBe(50_000)
    }
  })
})

describe('a file replaced while the process is killed', () => {
  const rows: { point: string; content: string; leftOver: number }[] = [
    { point: 'atomic_file.before_rename', content: 'old', leftOver: 1 },
    { point: 'atomic_file.renamed', content: 'new', leftOver: 0 },
  ]
  test.each(rows)('at $point has the whole $content content', async ({ point, content, leftOver }) => {
    const directory = scratchDirectory()
    const path = join(directory, 'file')
    writeFileSync(path, 'old')
    const killed = startChild('storage/children/replace-file.mjs', [path, 'new'], {
      environment: { CLAUDEMESH_CRASH_AT: point },
    })
    expect((await killed.exited).signal).toBe('SIGKILL')
    expect(readFileSync(path, 'utf8')).toBe(content)
    expect(readdirSync(directory).filter((name) => name.startsWith('.') && name.endsWith('.tmp'))).toHaveLength(
      leftOver,
    )
    const next = startChild('storage/children/replace-file.mjs', [path, 'newest'])
    expect((await next.exited).code).toBe(0)
    expect(readFileSync(path, 'utf8')).toBe('newest')
  })

  test('a point of another name, or a pass too few, kills nothing', async () => {
    for (const setting of ['atomic_file', 'atomic_file.before_rename:2', 'other:1', '']) {
      const path = join(scratchDirectory(), 'file')
      const writer = startChild('storage/children/replace-file.mjs', [path, 'new'], {
        environment: { CLAUDEMESH_CRASH_AT: setting },
      })
      expect(await writer.exited, setting).toMatchObject({ code: 0, signal: null })
    }
  })
})

describe('a disk that refuses a write', () => {
  test('fails that batch and every later one, and what was acknowledged before is there at the next start', async () => {
    const notes = notesIn(scratchDirectory())
    const fileBytesMax = 512 * 1024
    const writer = startChild('storage/children/write-notes.mjs', [notes.path, notes.schemaPath, '8', '4096'], {
      fileBytesMax,
    })
    expect(await writer.exited).toMatchObject({ code: 0, stderr: '' })
    const acknowledged = writer.lines.slice(0, -1)
    expect(writer.lines.at(-1)).toBe('storage_failed storage_failed')
    expect(acknowledged.length).toBeGreaterThan(8)
    expect(storedIds(reopen(notes))).toEqual(upTo(acknowledged.length))
  })
})
