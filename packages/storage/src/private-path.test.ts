import { chmodSync, chownSync, existsSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { scratchDirectory } from '../../../test/support/scratch-directory.ts'
import { assertPrivateFile, ensurePrivateDirectory } from './private-path.ts'

describe('ensurePrivateDirectory', () => {
  test('makes the directory and those above it for the owner alone, whatever the umask', () => {
    const root = scratchDirectory()
    const umask = process.umask(0)
    try {
      ensurePrivateDirectory(join(root, 'a', 'b', 'c'))
    } finally {
      process.umask(umask)
    }
    for (const made of ['a', 'a/b', 'a/b/c']) expect(statSync(join(root, made)).mode & 0o777, made).toBe(0o700)
  })

  test('of one that is there and private changes nothing', () => {
    const path = scratchDirectory()
    writeFileSync(join(path, 'file'), '')
    ensurePrivateDirectory(path)
    expect(existsSync(join(path, 'file'))).toBe(true)
  })

  test('takes a path with a slash at its end', () => {
    const path = join(scratchDirectory(), 'a', 'b')
    ensurePrivateDirectory(`${path}/`)
    expect(statSync(path).isDirectory()).toBe(true)
  })

  test.each([0o701, 0o710, 0o755, 0o777])('refuses mode %o with the command that mends it', (mode) => {
    const path = join(scratchDirectory(), "it's open")
    ensurePrivateDirectory(path)
    chmodSync(path, mode)
    const command = `chmod 700 '${path.replace("'", `'\\''`)}'`
    expect(() => ensurePrivateDirectory(path)).toThrow(
      expect.objectContaining({ code: 'unsafe_permissions', data: { command } }),
    )
  })

  test('refuses a file in its place', () => {
    const path = join(scratchDirectory(), 'file')
    writeFileSync(path, '')
    expect(() => ensurePrivateDirectory(path)).toThrow(expect.objectContaining({ code: 'EEXIST' }))
  })
})

describe('assertPrivateFile', () => {
  const rows: [mode: number, safe: boolean][] = [
    [0o600, true],
    [0o400, true],
    [0o700, true],
    [0o604, false],
    [0o620, false],
    [0o644, false],
  ]
  test.each(rows)('mode %o: safe is %s', (mode, safe) => {
    const path = join(scratchDirectory(), 'secret')
    writeFileSync(path, '')
    chmodSync(path, mode)
    if (safe) expect(() => assertPrivateFile(path)).not.toThrow()
    else expect(() => assertPrivateFile(path)).toThrow(expect.objectContaining({ code: 'unsafe_permissions' }))
  })

  test('a missing file is ENOENT', () => {
    expect(() => assertPrivateFile(join(scratchDirectory(), 'none'))).toThrow(
      expect.objectContaining({ code: 'ENOENT' }),
    )
  })

  test('a file of somebody else is refused with the command that mends it', () => {
    const path = fileOfSomebodyElse()
    expect(() => assertPrivateFile(path)).toThrow(
      expect.objectContaining({
        code: 'unsafe_permissions',
        data: { command: `chown ${process.geteuid?.()} ${path}` },
      }),
    )
  })
})

/** Root can give a file away; anybody else finds one of root's on every system. */
function fileOfSomebodyElse(): string {
  if (process.geteuid?.() !== 0) return '/etc/passwd'
  const path = join(scratchDirectory(), 'secret')
  writeFileSync(path, '', { mode: 0o600 })
  chownSync(path, 65_534, 65_534)
  return path
}
