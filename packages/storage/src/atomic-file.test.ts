import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { scratchDirectory } from '../../../test/support/scratch-directory.ts'
import { writeFileAtomic } from './atomic-file.ts'

describe('writeFileAtomic', () => {
  const contents: { name: string; data: string | Uint8Array }[] = [
    { name: 'text', data: 'päärynä\n' },
    { name: 'bytes', data: Uint8Array.of(0, 255, 10, 0) },
    { name: 'nothing', data: '' },
    { name: 'more than one write takes', data: Buffer.alloc(5_000_000, 7) },
  ]
  test.each(contents)('makes a file of $name and leaves no other', ({ data }) => {
    const directory = scratchDirectory()
    writeFileAtomic(join(directory, 'file'), data, { mode: 0o600 })
    expect(readFileSync(join(directory, 'file')).equals(Buffer.from(data as Uint8Array))).toBe(true)
    expect(readdirSync(directory)).toEqual(['file'])
  })

  test('replaces the whole content and the mode', () => {
    const path = join(scratchDirectory(), 'file')
    writeFileSync(path, 'a much longer old content', { mode: 0o644 })
    writeFileAtomic(path, 'new', { mode: 0o600 })
    expect(readFileSync(path, 'utf8')).toBe('new')
    expect(statSync(path).mode & 0o777).toBe(0o600)
  })

  test('gives the mode that was asked for, whatever the umask', () => {
    const path = join(scratchDirectory(), 'file')
    const umask = process.umask(0o077)
    try {
      writeFileAtomic(path, 'public', { mode: 0o644 })
    } finally {
      process.umask(umask)
    }
    expect(statSync(path).mode & 0o777).toBe(0o644)
  })

  test('that fails throws, keeps what was there, and leaves no temporary file', () => {
    const directory = scratchDirectory()
    const path = join(directory, 'file')
    mkdirSync(path)
    writeFileSync(join(path, 'inside'), 'kept')
    expect(() => writeFileAtomic(path, 'new', { mode: 0o600 })).toThrow()
    expect(readFileSync(join(path, 'inside'), 'utf8')).toBe('kept')
    expect(readdirSync(directory)).toEqual(['file'])
  })

  test('into a missing directory throws the reason and makes nothing', () => {
    const directory = join(scratchDirectory(), 'missing')
    expect(() => writeFileAtomic(join(directory, 'file'), 'new', { mode: 0o600 })).toThrow(
      expect.objectContaining({ code: 'ENOENT' }),
    )
    expect(existsSync(directory)).toBe(false)
  })
})
