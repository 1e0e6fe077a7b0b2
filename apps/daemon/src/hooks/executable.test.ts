import { chmodSync, chownSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { scratchDirectory } from '../../../../test/support/scratch-directory.ts'
import { findFault } from './executable.ts'

function withHook(): { directory: string; outside: string; path: string } {
  const directory = join(scratchDirectory(), 'hooks')
  mkdirSync(directory, { mode: 0o700 })
  const path = join(directory, 'on-dm')
  writeFileSync(path, '#!/bin/sh\n', { mode: 0o700 })
  return { directory, path, outside: scratchDirectory() }
}

const cases: readonly [what: string, change: (o: ReturnType<typeof withHook>) => void, says: string][] = [
  ['is not there', ({ path }) => rmSync(path), 'there is no file'],
  ['is not executable', ({ path }) => chmodSync(path, 0o600), 'not executable; run: chmod 700'],
  ['the group can write', ({ path }) => chmodSync(path, 0o770), 'can be written by others; run: chmod go-w'],
  ['everybody can write', ({ path }) => chmodSync(path, 0o702), 'can be written by others'],
  [
    'is a directory',
    ({ path }) => {
      rmSync(path)
      mkdirSync(path, { mode: 0o700 })
    },
    'is no file',
  ],
  [
    'is a link that leads out',
    ({ path, outside }) => {
      rmSync(path)
      writeFileSync(join(outside, 'script'), '#!/bin/sh\n', { mode: 0o700 })
      symlinkSync(join(outside, 'script'), path)
    },
    'a link that leads out of',
  ],
  [
    'is a link to nothing',
    ({ path }) => {
      rmSync(path)
      symlinkSync('nothing', path)
    },
    'leads nowhere',
  ],
  [
    'is a link in a circle',
    ({ path }) => {
      rmSync(path)
      symlinkSync('on-dm', path)
    },
    'leads nowhere',
  ],
  [
    'is in a directory that others can write',
    ({ path, directory }) => {
      rmSync(path)
      mkdirSync(join(directory, 'shared'))
      chmodSync(join(directory, 'shared'), 0o777)
      writeFileSync(join(directory, 'shared/on-dm'), '#!/bin/sh\n', { mode: 0o700 })
      symlinkSync('shared/on-dm', path)
    },
    'can be written by others',
  ],
]

describe('a file may run as a hook', () => {
  test('when it is this user’s own, executable, and inside the directory', () => {
    const { directory, path } = withHook()
    expect(findFault(directory, 'on-dm')).toBeNull()
    symlinkSync('on-dm', join(directory, 'on-message'))
    expect(findFault(directory, 'on-message')).toBeNull()
    chmodSync(path, 0o755)
    expect(findFault(directory, 'on-dm')).toBeNull()
  })

  test.each(cases)('and not when it %s', (_, change, says) => {
    const hook = withHook()
    change(hook)
    expect(findFault(hook.directory, 'on-dm')).toContain(says)
  })

  test.runIf(process.getuid?.() === 0)('and not when it belongs to somebody else', () => {
    const { directory, path } = withHook()
    chownSync(path, 12_345, 12_345)
    expect(findFault(directory, 'on-dm')).toContain('belongs to user 12345')
  })
})
