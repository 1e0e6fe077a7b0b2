import { existsSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { scratchDirectory } from '../../../test/support/scratch-directory.ts'
import { FileLock, isLocked } from './file-lock.ts'

describe('a lock', () => {
  test('has one holder, and the next one when it is released', () => {
    const path = join(scratchDirectory(), 'lock')
    const lock = FileLock.acquire(path)
    expect(lock).not.toBeNull()
    expect(FileLock.acquire(path)).toBeNull()
    lock?.release()
    const next = FileLock.acquire(path)
    expect(next).not.toBeNull()
    next?.release()
  })

  test('released twice does not release the next holder', () => {
    const path = join(scratchDirectory(), 'lock')
    const lock = FileLock.acquire(path)
    lock?.release()
    const next = FileLock.acquire(path)
    lock?.release()
    expect(isLocked(path)).toBe(true)
    next?.release()
  })

  test('of one path says nothing about another', () => {
    const directory = scratchDirectory()
    const one = FileLock.acquire(join(directory, 'one'))
    const two = FileLock.acquire(join(directory, 'two'))
    expect(one).not.toBeNull()
    expect(two).not.toBeNull()
    one?.release()
    two?.release()
  })

  test('leaves an empty file that is readable by the owner alone', () => {
    const path = join(scratchDirectory(), 'lock')
    const umask = process.umask(0)
    try {
      FileLock.acquire(path)?.release()
    } finally {
      process.umask(umask)
    }
    expect(statSync(path).mode & 0o777).toBe(0o600)
    expect(statSync(path).size).toBe(0)
  })

  test('on a file with other content is refused with what to do, and the content is kept', () => {
    const path = join(scratchDirectory(), 'lock')
    writeFileSync(path, 'something of somebody. '.repeat(100))
    expect(() => FileLock.acquire(path)).toThrow(expect.objectContaining({ code: 'start_failed' }))
    expect(statSync(path).size).toBe(2300)
  })

  test('in a missing directory is ENOENT', () => {
    expect(() => FileLock.acquire(join(scratchDirectory(), 'missing', 'lock'))).toThrow(
      expect.objectContaining({ code: 'ENOENT' }),
    )
  })
})

describe('isLocked', () => {
  test('tells whether somebody holds it, and makes no file', () => {
    const path = join(scratchDirectory(), 'lock')
    expect(isLocked(path)).toBe(false)
    expect(existsSync(path)).toBe(false)
    const lock = FileLock.acquire(path)
    expect(isLocked(path)).toBe(true)
    lock?.release()
    expect(isLocked(path)).toBe(false)
  })

  test('does not disturb the holder', () => {
    const path = join(scratchDirectory(), 'lock')
    const lock = FileLock.acquire(path)
    for (let round = 0; round < 20; round += 1) expect(isLocked(path)).toBe(true)
    expect(FileLock.acquire(path)).toBeNull()
    lock?.release()
  })
})
