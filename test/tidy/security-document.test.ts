/** What docs/security.md says is shown by a test is shown by one that is there. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { readText, root } from './sources.ts'

test('every test that docs/security.md names is there, and every row names one', () => {
  const rows = readText('docs/security.md')
    .split('\n## What it does not cover')[0]
    ?.split('\n')
    .filter((line) => line.startsWith('|') && !/^\| (who|-+) /.test(line))
  const named = (rows ?? []).map((row) => row.match(/[\w./-]+\.test\.ts/g) ?? [])
  expect(named.length).toBeGreaterThan(10)
  expect((rows ?? []).filter((_, index) => named[index]?.length === 0)).toEqual([])
  expect(named.flat().filter((path) => !existsSync(join(root, path)))).toEqual([])
})
