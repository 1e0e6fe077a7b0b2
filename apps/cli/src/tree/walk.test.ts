import { execFileSync } from 'node:child_process'
import { appendFileSync, mkdirSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { describe, expect, onTestFinished, test } from 'vitest'
import { scratchDirectory } from '../../../../test/support/scratch-directory.ts'
import { readWhole } from './source-file.ts'
import { walkTree } from './walk.ts'

const everything = { policy: 'portable', only: null, skipSpecial: false } as const

describe('the files below a directory', () => {
  test('come in the order of their paths’ bytes, hidden ones too', async () => {
    const directory = scratchDirectory()
    mkdirSync(join(directory, 'b/c'), { recursive: true })
    mkdirSync(join(directory, '.git'))
    mkdirSync(join(directory, 'empty'))
    for (const path of ['b/c/z', 'b-a', 'b/a', '.git/config', 'é', 'Z']) writeFileSync(join(directory, path), path)
    const { files, skipped } = await walkTree(directory, everything)
    expect(files.map(({ relativePath }) => relativePath)).toEqual(['.git/config', 'Z', 'b-a', 'b/a', 'b/c/z', 'é'])
    expect(files.map(({ sizeBytes }) => sizeBytes)).toEqual([11, 1, 3, 3, 5, 2])
    expect(skipped).toEqual([])
  })

  test('are those that were named, when some were', async () => {
    const directory = scratchDirectory()
    for (const path of ['a', 'b', 'c']) writeFileSync(join(directory, path), path)
    const { files } = await walkTree(directory, { ...everything, only: ['c', 'a'] })
    expect(files.map(({ relativePath }) => relativePath)).toEqual(['a', 'c'])
    await expect(walkTree(directory, { ...everything, only: ['../a'] })).rejects.toMatchObject({ reason: 'traversal' })
    await expect(walkTree(directory, { ...everything, only: ['d'] })).rejects.toMatchObject({ code: 'ENOENT' })
  })

  test('have the paths of their names in normalisation form C', async () => {
    const directory = scratchDirectory()
    writeFileSync(join(directory, 'cafe\u0301'), '')
    const { files } = await walkTree(directory, everything)
    expect(files.map(({ relativePath }) => relativePath)).toEqual(['caf\u00e9'])
  })

  test('that a package cannot hold are refused before anything is read', async () => {
    const directory = scratchDirectory()
    writeFileSync(join(directory, 'what?'), '')
    await expect(walkTree(directory, everything)).rejects.toMatchObject({
      code: 'invalid_path',
      reason: 'windows_char',
    })
    expect((await walkTree(directory, { ...everything, policy: 'posix' })).files).toHaveLength(1)
    writeFileSync(Buffer.concat([Buffer.from(`${directory}/`), Buffer.from([0xff, 0xfe])]), '')
    await expect(walkTree(directory, { ...everything, policy: 'posix' })).rejects.toThrow(/not text in UTF-8/)
  })
})

test('links, pipes and sockets are refused, all of them named, or left out', async () => {
  const directory = scratchDirectory()
  writeFileSync(join(directory, 'file'), '1')
  symlinkSync('file', join(directory, 'link'))
  symlinkSync('/etc', join(directory, 'directory-link'))
  execFileSync('mkfifo', [join(directory, 'pipe')])
  const server = createServer().listen(join(directory, 'socket'))
  await new Promise((resolve) => server.once('listening', resolve))
  onTestFinished(() => void server.close())
  const special = ['directory-link (symbolic link)', 'link (symbolic link)', 'pipe (named pipe)', 'socket (socket)']
  const refused = walkTree(directory, everything)
  await expect(refused).rejects.toMatchObject({ code: 'invalid_path', hint: expect.stringContaining('--skip-special') })
  for (const one of special) await expect(refused).rejects.toThrow(one)
  const { files, skipped } = await walkTree(directory, { ...everything, skipSpecial: true })
  expect(files.map(({ relativePath }) => relativePath)).toEqual(['file'])
  expect([...skipped].sort()).toEqual(special)
})

describe('a file that is read', () => {
  test('is read whole, and how far it has come is told', async () => {
    const path = join(scratchDirectory(), 'file')
    const content = Buffer.alloc(2_500_000, 'x')
    writeFileSync(path, content)
    const told: number[] = []
    const read = await buffer(readWhole(path, { sizeBytes: content.length, onBytes: (count) => told.push(count) }))
    expect(read.equals(content)).toBe(true)
    expect(told.reduce((sum, count) => sum + count, 0)).toBe(content.length)
  })

  const changes: readonly (readonly [what: string, change: (path: string) => void, code: string])[] = [
    ['grew', (path) => appendFileSync(path, 'more'), 'size_mismatch'],
    ['shrank', (path) => truncateSync(path, 1), 'size_mismatch'],
    ['became a link', (path) => becomes(path, () => symlinkSync('/etc/hosts', path)), 'ELOOP'],
    ['became a pipe', (path) => becomes(path, () => execFileSync('mkfifo', [path])), 'invalid_path'],
  ]
  test.each(changes)('and that %s after it was looked at, is refused', async (_, change, code) => {
    const path = join(scratchDirectory(), 'file')
    writeFileSync(path, 'content')
    change(path)
    await expect(buffer(readWhole(path, { sizeBytes: 7 }))).rejects.toMatchObject({ code })
  })
})

function becomes(path: string, make: () => unknown): void {
  rmSync(path)
  make()
}
