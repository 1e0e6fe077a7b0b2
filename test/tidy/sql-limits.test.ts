/**
 * A statement with a bare parameter as its LIMIT, or one that is compared with what a partial index demands, is compiled
 * anew by SQLite each time that it runs: the value could ask for another plan. Compiling takes ten times as long as finding
 * a row does. `LIMIT +?` says the same and is compiled once, and the plan that the tests read is the one that runs.
 */
import { expect, test } from 'vitest'
import { listPaths, readText } from './sources.ts'

/** PostgreSQL keeps its plans. What runs on both has `$1`, and gets its sign where it is prepared for SQLite. */
const ofSqlite = /^(?!.*\/postgres\/).*\/statements\.ts$/

test('a parameter that is the limit of a statement has a sign', () => {
  const found = listPaths()
    .filter((path) => ofSqlite.test(path))
    .flatMap((path) => [...readText(path).matchAll(/\bLIMIT [?:@]\w*/gi)].map(([text]) => `${path}: ${text}`))
  expect(found).toEqual([])
})
