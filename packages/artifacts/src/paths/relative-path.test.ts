import { describe, expect, test } from 'vitest'
import { PathSet } from './path-conflicts.ts'
import { normalizeRelativePath, type PathPolicy } from './relative-path.ts'

const both: readonly PathPolicy[] = ['portable', 'posix']
const portable: readonly PathPolicy[] = ['portable']

const refused: readonly (readonly [reason: string, input: unknown, policies: readonly PathPolicy[]])[] = [
  ['not_a_string', 7, both],
  ['lone_surrogate', 'a\ud800', both],
  ['nul', 'a\u0000b', both],
  ['control', 'a\nb', both],
  ['control', 'a\u0085b', both],
  ['bidi', 'a\u202eb', both],
  ['bidi', 'a\u2066b', both],
  ['empty', '', both],
  ['absolute', '/etc/passwd', both],
  ['absolute', '//host/share', both],
  ['too_long', `${'a/'.repeat(512)}a`, both],
  ['backslash', '..\\..\\etc', portable],
  ['drive', 'C:/windows', portable],
  ['drive', 'c:file', portable],
  ['empty_segment', 'a//b', both],
  ['empty_segment', 'a/', both],
  ['traversal', '..', both],
  ['traversal', 'a/../../b', both],
  ['traversal', './a', both],
  ['traversal', 'a/.', both],
  ['too_deep', Array.from({ length: 65 }, () => 'a').join('/'), both],
  ['segment_too_long', 'é'.repeat(128), both],
  ['windows_char', 'a/what?', portable],
  ['windows_char', 'ab:c/d', portable],
  ['trailing_dot_space', 'a/b.', portable],
  ['trailing_dot_space', 'a /b', portable],
  ['windows_reserved', 'NUL', portable],
  ['windows_reserved', 'a/con.txt', portable],
  ['windows_reserved', 'a/Com1.tar.gz', portable],
  ['windows_reserved', 'lpt\u00b2', portable],
  ['windows_reserved', 'conout$.log', portable],
  ['windows_reserved', 'aux .c', portable],
]

describe('a path that cannot be in a package', () => {
  test.each(refused)('%s: %j', (reason, input, policies) => {
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
  test.each([
    ['src/index.ts', 'src/index.ts'],
    ['README', 'readme'],
    ['Straße', 'strasse'],
    ['ſ', 's'],
    ['cafe\u0301', 'café'],
    ['%2e%2e/a', '%2e%2e/a'],
    ['...', null],
    ['.gitignore', '.gitignore'],
    ['console.log', 'console.log'],
    ['com10', 'com10'],
  ])('%s has the portable key %s', (input, key) => {
    if (key === null) return expect(() => normalizeRelativePath(input, 'portable')).toThrow()
    expect(normalizeRelativePath(input, 'portable').path_key).toBe(key)
    expect(normalizeRelativePath(input, 'posix').path_key).toBe(input.normalize('NFC'))
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
