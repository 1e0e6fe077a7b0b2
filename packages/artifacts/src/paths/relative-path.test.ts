import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { PathSet } from './path-conflicts.ts'
import { normalizeRelativePath, type PathPolicy } from './relative-path.ts'

const both: readonly PathPolicy[] = ['portable', 'posix']
const golden = JSON.parse(readFileSync(new URL('../../vectors/golden/paths.json', import.meta.url), 'utf8')) as {
  readonly accepted: readonly { readonly path: string; readonly relative_path: string; readonly portable_key: string }[]
  readonly refused: readonly {
    readonly reason: string
    readonly path: unknown
    readonly policies: readonly PathPolicy[]
  }[]
}

describe('a path that cannot be in a package', () => {
  test.each(golden.refused)('$reason: $path', ({ reason, path: input, policies }) => {
    for (const policy of both) {
      const normalize = () => normalizeRelativePath(input, policy)
      if (policies.includes(policy))
        expect(normalize).toThrow(expect.objectContaining({ code: 'invalid_path', reason }))
      else expect(normalize().relative_path).toBe(input)
    }
  })

  test('of several broken rules the first of the list is named', () => {
    expect(() => normalizeRelativePath('/../a?\u0000', 'portable')).toThrow(expect.objectContaining({ reason: 'nul' }))
    expect(() => normalizeRelativePath('CON/..', 'portable')).toThrow(expect.objectContaining({ reason: 'traversal' }))
  })
})

describe('a path that can', () => {
  test.each(golden.accepted)('$path has the portable key $portable_key', (wanted) => {
    const { path, relative_path, portable_key: path_key } = wanted
    expect(normalizeRelativePath(path, 'portable')).toEqual({ relative_path, path_key })
    expect(normalizeRelativePath(path, 'posix')).toEqual({ relative_path, path_key: relative_path })
  })

  test('normalising again changes nothing', () => {
    const { relative_path } = normalizeRelativePath('cafe\u0301/A', 'portable')
    expect(normalizeRelativePath(relative_path, 'portable').relative_path).toBe(relative_path)
  })
})

describe('paths beside each other', () => {
  test.each([
    ['the same path', 'a/b', 'a/b', 'duplicate_path'],
    ['another spelling', 'a/B', 'a/b', 'path_collision'],
    ['a file where a directory is', 'a/b', 'a', 'path_collision'],
    ['a directory where a file is', 'a', 'a/b/c', 'path_collision'],
    ['a name that begins alike', 'a', 'ab', null],
  ])('%s', (_, first, second, conflict) => {
    const paths = new PathSet()
    expect(paths.add(normalizeRelativePath(first, 'portable'))).toBe(null)
    expect(paths.add(normalizeRelativePath(second, 'portable'))).toBe(conflict)
  })

  test('a path that was refused takes no place', () => {
    const paths = new PathSet()
    paths.add(normalizeRelativePath('a', 'posix'))
    expect(paths.add(normalizeRelativePath('a/b', 'posix'))).toBe('path_collision')
    expect(paths.add(normalizeRelativePath('b/a', 'posix'))).toBe(null)
  })
})
