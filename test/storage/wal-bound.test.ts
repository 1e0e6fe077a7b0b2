/** How large a write-ahead log becomes: bounded under steady traffic, also after somebody has held an old snapshot. */
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { closeDatabase, immediate, openDatabase, openForReading } from '../../packages/storage/src/index.ts'
import { memoryDirectory, scratchDirectory, writeMigrations } from '../support/scratch-directory.ts'

const mebibyte = 1024 * 1024
/** 1,000 pages of 4 KiB are checkpointed; the commit that reaches them may be of any size. */
const checkpointedBytes = 4 * mebibyte
/** What a log that became larger shrinks to. */
const keptBytes = 64 * mebibyte

test('the log stays small under steady traffic, grows under a reader that holds on, and is small again after it', () => {
  const migrations = writeMigrations(scratchDirectory(), {
    '001-note.sql': 'CREATE TABLE note (id INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT;',
  })
  const path = join(memoryDirectory(), 'notes.db')
  const db = openDatabase({ path, migrations, now: Date.now })
  const reader = openForReading(path)
  onTestFinished(() => {
    reader.close()
    closeDatabase(db)
  })
  const replace = db.prepare('INSERT OR REPLACE INTO note (id, body) VALUES (?, ?)')
  let written = 0
  /** The largest that the log is while so much is written, in commits of this size. */
  const write = (mebibytes: number, bytesPerCommit: number): number => {
    let largest = 0
    for (let bytes = 0; bytes < mebibytes * mebibyte; bytes += bytesPerCommit) {
      written += 1
      immediate(db, () => replace.run(written % 64, Buffer.alloc(bytesPerCommit, written)))
      largest = Math.max(largest, statSync(`${path}-wal`).size)
    }
    return largest
  }

  expect(write(40, 64 * 1024)).toBeLessThan(checkpointedBytes + mebibyte)
  reader.exec('BEGIN')
  const seen = reader.prepare('SELECT count(*) AS rows FROM note').get()
  const held = write(100, mebibyte)
  expect(held).toBeGreaterThan(100 * mebibyte)
  expect(reader.prepare('SELECT count(*) AS rows FROM note').get()).toEqual(seen)
  reader.exec('COMMIT')
  write(8, 64 * 1024)
  expect(statSync(`${path}-wal`).size).toBeLessThanOrEqual(keptBytes)
  expect(write(100, 64 * 1024)).toBeLessThanOrEqual(keptBytes)
  console.log(
    `write-ahead log: ${Math.round(held / mebibyte)} MiB while a reader held on, then at most ${keptBytes / mebibyte}`,
  )
})
