/** Who of the package imports whom (06 §1): every import of every source is read. */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const root = fileURLToPath(new URL('../../packages/artifacts/src/', import.meta.url))

/** Every import within the package: from and to, relative to its sources. */
function listImports(): { from: string; to: string }[] {
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' })
  return files
    .filter((path) => path.endsWith('.ts') && !path.endsWith('.test.ts'))
    .flatMap((from) => {
      const source = readFileSync(join(root, from), 'utf8')
      const imports = source.matchAll(/\b(?:from|import)\s*\(?\s*'(\.[^']+)'/g)
      return [...imports].map(([, to = '']) => ({ from, to: relative(root, join(root, dirname(from), to)) }))
    })
}

const imports = listImports()
/** The lists of exports name everything. */
const inside = imports.filter(({ from }) => from !== 'index.ts' && from !== 'blobs.ts')

test('there are imports to look at', () => {
  expect(imports.length).toBeGreaterThan(300)
})

test('backends are known to the data plane and to the composition root alone', () => {
  const importers = inside.filter(({ to }) => to.startsWith('storage/backends/')).map(({ from }) => from)
  expect(importers).toContain('open.ts')
  expect(importers.filter((from) => !/^(?:dataplane\/|storage\/backends\/|open\.ts$)/.test(from))).toEqual([])
})

test('which data plane there is, is decided by the composition root alone', () => {
  const importers = inside.filter(({ to }) => to.startsWith('dataplane/inproc/')).map(({ from }) => from)
  expect(importers.filter((from) => !from.startsWith('dataplane/inproc/'))).toEqual(['open.ts'])
})

test('the registry has no word of a particular storage', () => {
  const registry = readdirSync(join(root, 'registry'), { recursive: true, encoding: 'utf8' })
  const sources = registry.filter((path) => path.endsWith('.ts'))
  const found = sources.filter((path) =>
    /\b(?:s3|bucket|minio|aws)\b/i.test(readFileSync(join(root, 'registry', path), 'utf8')),
  )
  expect(found).toEqual([])
})
