import { describe, expect, test } from 'vitest'
import { classifyStorageFailure, saysCorrupt, toStorageError } from './storage-error.ts'

function failure(code: string): Error {
  return Object.assign(new Error(code), { code })
}

describe('what a failure means', () => {
  const rows: [code: string, meaning: string | null, broken: boolean | undefined][] = [
    ['SQLITE_FULL', 'insufficient_storage', false],
    ['SQLITE_IOERR', 'storage_failed', true],
    ['SQLITE_IOERR_FSYNC', 'storage_failed', true],
    ['SQLITE_IOERR_WRITE', 'storage_failed', true],
    ['SQLITE_READONLY_DBMOVED', 'storage_failed', true],
    ['SQLITE_CANTOPEN', 'storage_failed', true],
    ['SQLITE_CORRUPT', 'storage_failed', true],
    ['SQLITE_CORRUPT_INDEX', 'storage_failed', true],
    ['SQLITE_NOTADB', 'storage_failed', true],
    ['SQLITE_BUSY', 'storage_failed', false],
    ['SQLITE_BUSY_SNAPSHOT', 'storage_failed', false],
    ['SQLITE_CONSTRAINT_UNIQUE', null, undefined],
    ['SQLITE_ERROR', null, undefined],
    ['ENOSPC', 'insufficient_storage', false],
    ['EDQUOT', 'insufficient_storage', false],
    ['EIO', 'storage_failed', true],
    ['EROFS', 'storage_failed', true],
    ['ENOENT', null, undefined],
  ]
  test.each(rows)('%s: %s, broken %s', (code, meaning, broken) => {
    expect(classifyStorageFailure(failure(code))?.code ?? null).toBe(meaning)
    expect(classifyStorageFailure(failure(code))?.broken).toBe(broken)
  })

  test.each([null, undefined, 'SQLITE_FULL', { code: 'SQLITE_FULL' }, new Error('SQLITE_FULL'), failure('')])(
    '%s is no failure of storage',
    (thrown) => {
      expect(classifyStorageFailure(thrown)).toBeNull()
      expect(toStorageError(thrown, '/x')).toBe(thrown)
    },
  )
})

test('a translated failure names the file and keeps its cause', () => {
  const cause = failure('ENOSPC')
  expect(toStorageError(cause, '/home/ada/outbox.db')).toMatchObject({
    code: 'insufficient_storage',
    message: 'the disk is full: /home/ada/outbox.db',
    cause,
  })
})

test('only damage says corrupt', () => {
  for (const code of ['SQLITE_CORRUPT', 'SQLITE_CORRUPT_VTAB', 'SQLITE_NOTADB']) {
    expect(saysCorrupt(failure(code)), code).toBe(true)
  }
  for (const code of ['SQLITE_IOERR', 'SQLITE_FULL', 'EIO']) expect(saysCorrupt(failure(code)), code).toBe(false)
})
