/** docs/durability.md names tests that are there, sources that are there, and every source that writes files. */
import { existsSync } from 'node:fs'
import { join, normalize } from 'node:path'
import { expect, test } from 'vitest'
import { isProduction, listPaths, namesOfTests, readText, root } from './sources.ts'

const document = readText('docs/durability.md')

test('every test that it names is there, by its file and by words of its name', () => {
  const named = [...document.matchAll(/`([\w./-]+\.test\.ts)` "([^"]+)"/g)]
  expect(named.length).toBeGreaterThan(40)
  const missing = named.filter(([, path = '', words = '']) => {
    return !existsSync(join(root, path)) || !namesOfTests(readText(path)).some((name) => name.includes(words))
  })
  expect(missing.map(([found]) => found)).toEqual([])
  const files = document.match(/`[\w./-]+\.test\.ts`(?! "| )/g) ?? []
  expect(files, 'a test is named with words of its name').toEqual([])
})

test('everything that it links to is there', () => {
  const targets = [...document.matchAll(/\]\(([^)#]+)\)/g)].map(([, target = '']) => normalize(join('docs', target)))
  expect(targets.length).toBeGreaterThan(20)
  expect(targets.filter((path) => !existsSync(join(root, path)))).toEqual([])
})

/** Calls that change files; `packages/storage` is where they belong, and what calls it names the file that it writes. */
const changesFiles =
  /\b(?:writeFileSync|appendFileSync|writeSync|renameSync|rmSync|unlinkSync|mkdirSync|copyFileSync|linkSync|symlinkSync|createWriteStream|openSync|writeFileAtomic|writeNewFile|appendLine|copyDatabase)\(/

/** They open files to read them. */
const readers: readonly string[] = [
  'apps/cli/src/log-file.ts',
  // It decides when, and `copy-database.ts` how.
  'apps/broker/src/backup.ts',
]

test('every source that changes files is in it', () => {
  const writers = listPaths()
    .filter(isProduction)
    .filter((path) => changesFiles.test(readText(path)))
  expect(writers.length).toBeGreaterThan(20)
  const linked = new Set(
    [...document.matchAll(/\]\(([^)#]+)\)/g)].map(([, target = '']) => normalize(join('docs', target))),
  )
  expect(writers.filter((path) => !linked.has(path) && !readers.includes(path))).toEqual([])
  expect(readers.filter((path) => !writers.includes(path))).toEqual([])
})
