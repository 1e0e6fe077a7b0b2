/** A file is named for what is in it, and a note that something is left to do names the issue that keeps it. */
import { describe, expect, test } from 'vitest'
import { listPaths, readText } from './sources.ts'

/** Names that say nothing of what is inside, so that anything ends up there. */
const emptyWords = new Set(['util', 'utils', 'helper', 'helpers', 'common', 'shared', 'misc', 'types'])
const emptySuffixes = new Set(['manager', 'managers'])
/** A note that does not say which issue keeps it. Written so that it does not find itself. */
const looseNote = /\b(?:TO(?:DO)|FIX(?:ME)|X(?:XX)|HA(?:CK))\b(?!\((?:#\d+|[a-z-]+#?\d+)\))/

test('no file and no folder has a name that says nothing', () => {
  expect(listPaths().filter(isEmptyName)).toEqual([])
})

test('no note of work to do stands without its issue', () => {
  const places = listPaths()
    .filter((path) => /\.(ts|mjs|cjs|js|sql|sh|md)$/.test(path))
    .flatMap((path) =>
      readText(path)
        .split('\n')
        .flatMap((line, index) => (looseNote.test(line) ? [`${path}:${index + 1}`] : [])),
    )
  expect(places).toEqual([])
})

describe('a name that says nothing', () => {
  const rows = [
    { path: 'apps/daemon/src/utils.ts', empty: true },
    { path: 'apps/daemon/src/common/', empty: true },
    { path: 'packages/protocol/src/types.ts', empty: true },
    { path: 'apps/broker/src/session-manager.ts', empty: true },
    { path: 'apps/daemon/src/send/helpers.test.ts', empty: true },
    { path: 'apps/daemon/src/send/backoff.ts', empty: false },
    { path: 'packages/protocol/src/common-prefix.ts', empty: false },
  ]
  for (const { path, empty } of rows) {
    test(`${path} is ${empty ? 'one' : 'none'}`, () => expect(isEmptyName(path)).toBe(empty))
  }
})

function isEmptyName(path: string): boolean {
  const last = path.replace(/\/$/, '').split('/').at(-1) ?? ''
  const stem = last.replace(/\..*$/, '').toLowerCase()
  return emptyWords.has(stem) || emptySuffixes.has(stem.split('-').at(-1) ?? '')
}
