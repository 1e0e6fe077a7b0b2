import { execFileSync } from 'node:child_process'
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { scratchDirectory } from '../../../../test/support/scratch-directory.ts'
import { NewTree } from './new-tree.ts'

async function* bytes(...parts: readonly string[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) yield Buffer.from(part)
}

describe('a new tree', () => {
  test('is not there before it is finished, and all of it after', async () => {
    const parent = scratchDirectory()
    const target = join(parent, 'out')
    const tree = await NewTree.create(target)
    await Promise.all([
      tree.write('a/b/one', bytes('1', '2')),
      tree.write('a/b/two', bytes()),
      tree.write('a/three', bytes('3')),
    ])
    expect(existsSync(target)).toBe(false)
    await tree.finish()
    expect(readdirSync(parent)).toEqual(['out'])
    expect(readFileSync(join(target, 'a/b/one'), 'utf8')).toBe('12')
    expect(readdirSync(join(target, 'a/b'))).toEqual(['one', 'two'])
    expect(lstatSync(join(target, 'a/three')).mode & 0o077).toBe(0)
  })

  test('takes the place of an empty directory', async () => {
    const target = join(scratchDirectory(), 'out')
    mkdirSync(target)
    const tree = await NewTree.create(target)
    await tree.write('one', bytes('1'))
    await tree.finish()
    expect(readdirSync(target)).toEqual(['one'])
  })

  test('that is discarded leaves nothing', async () => {
    const parent = scratchDirectory()
    const tree = await NewTree.create(join(parent, 'out'))
    await tree.write('a/b', bytes('1'))
    await tree.discard()
    expect(readdirSync(parent)).toEqual([])
  })
})

describe('what is there already stays', () => {
  const occupants: readonly (readonly [what: string, make: (path: string) => void])[] = [
    ['a file', (path) => writeFileSync(path, 'mine')],
    ['a directory that holds something', (path) => mkdirSync(join(path, 'mine'), { recursive: true })],
    ['a link to an empty directory', (path) => symlinkSync(scratchDirectory(), path)],
    ['a link that leads nowhere', (path) => symlinkSync('nowhere', path)],
    ['a pipe', (path) => void execFileSync('mkfifo', [path])],
  ]
  for (const [what, make] of occupants) {
    test(`${what}, when the tree is begun and when it is finished`, async () => {
      const parent = scratchDirectory()
      const target = join(parent, 'out')
      const begun = await NewTree.create(target)
      await begun.write('one', bytes('1'))
      make(target)
      const before = lstatSync(target).ino
      await expect(NewTree.create(target)).rejects.toMatchObject({ code: 'invalid_target' })
      await expect(begun.finish()).rejects.toMatchObject({ code: 'invalid_target' })
      await begun.discard()
      expect(lstatSync(target).ino).toBe(before)
      expect(readdirSync(parent).filter((name) => name.includes('.partial'))).toEqual([])
    })
  }
})

describe('a path that leads elsewhere is refused, whoever named it', () => {
  test.each([
    ['../escape', 'traversal'],
    ['a/../../escape', 'traversal'],
    ['/etc/escape', 'absolute'],
    ['', 'empty'],
    ['a//b', 'empty_segment'],
    ['a\u0000b', 'nul'],
    ['a\nb', 'control'],
  ])('%j', async (path, reason) => {
    const parent = scratchDirectory()
    const tree = await NewTree.create(join(parent, 'out'))
    await expect(tree.write(path, bytes('1'))).rejects.toMatchObject({ code: 'invalid_path', reason })
    await tree.discard()
    expect(readdirSync(parent)).toEqual([])
  })

  test.each([
    ['a file where another needs a directory', ['a', 'a/b']],
    ['a directory where another is a file', ['a/b', 'a']],
    ['the same path twice', ['a', 'a']],
    ['the same path in two forms of Unicode', ['caf\u00e9', 'cafe\u0301']],
  ])('%s', async (_, [first = '', second = '']) => {
    const tree = await NewTree.create(join(scratchDirectory(), 'out'))
    await tree.write(first, bytes('1'))
    await expect(tree.write(second, bytes('2'))).rejects.toMatchObject({ code: 'path_collision' })
    await tree.discard()
  })

  test('through a link, a pipe or a directory that somebody planted in the tree while it was written', async () => {
    const parent = scratchDirectory()
    const elsewhere = join(parent, 'elsewhere')
    mkdirSync(elsewhere)
    const tree = await NewTree.create(join(parent, 'out'))
    const fresh = join(parent, readdirSync(parent).find((name) => name.endsWith('.partial')) ?? '')
    symlinkSync(elsewhere, join(fresh, 'd'))
    symlinkSync(join(elsewhere, 'made'), join(fresh, 'f'))
    mkdirSync(join(fresh, 'e'))
    execFileSync('mkfifo', [join(fresh, 'p')])
    for (const path of ['d/x', 'f', 'e/x', 'p']) {
      await expect(tree.write(path, bytes('1'))).rejects.toMatchObject({ code: 'path_collision' })
    }
    expect(readdirSync(elsewhere)).toEqual([])
    await tree.discard()
    expect(readdirSync(parent)).toEqual(['elsewhere'])
  })
})

test('an error of the source is thrown as it is', async () => {
  const tree = await NewTree.create(join(scratchDirectory(), 'out'))
  const broken = (async function* () {
    yield Buffer.from('1')
    throw new Error('the source broke')
  })()
  await expect(tree.write('one', broken)).rejects.toThrow('the source broke')
  await tree.discard()
})
