/** The named steps at which a test can kill a process: each of them is killed at by some test. */
import { expect, test } from 'vitest'
import { isProduction, listPaths, readText } from './sources.ts'

test('every step that a source names is one at which a test kills', () => {
  const paths = listPaths()
  const named = paths.filter(isProduction).flatMap((path) => stepsIn(readText(path)))
  const tests = paths.filter((path) => path.startsWith('test/') && path.endsWith('.ts'))
  const killed = new Set(tests.flatMap((path) => literalsIn(readText(path))))
  const steps = [...new Set(named)].toSorted()
  expect(steps.filter((step) => !killed.has(step))).toEqual([])
  console.log(`steps at which a process can be killed: ${steps.length}, killed at by some test: ${steps.length}`)
})

/** A name that is put together could not be found: it is written out. */
test('every step is named by a literal', () => {
  const made = listPaths()
    .filter((path) => isProduction(path) && /crashPoint\((?!'|name: string)/.test(readText(path)))
    .filter((path) => path !== 'packages/storage/src/crash-point.ts')
  expect(made).toEqual([])
})

function stepsIn(source: string): readonly string[] {
  return [...source.matchAll(/crashPoint\('([^']+)'/g)].map(([, step = '']) => step)
}

/** Texts between quotes, without the count of passes that may follow a step. */
function literalsIn(source: string): readonly string[] {
  return [...source.matchAll(/['`"]([a-z_.-]+)(?::\d+)?['`"]/g)].map(([, text = '']) => text)
}
