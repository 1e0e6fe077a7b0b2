/**
 * What the documents tell people to type, typed: every block of shell of every document, in order, against the built command
 * with daemons and brokers of its own, and compared with the output that the document shows.
 */
import { readdirSync } from 'node:fs'
import { expect, test } from 'vitest'
import { resolveCommand } from '../../apps/cli/src/command-tree.ts'
import { readText, root } from '../tidy/sources.ts'
import { blocksOf } from './blocks.ts'
import { type Beginning, DocumentRun, twoMembers } from './document-run.ts'

const documents = ['README.md', ...readdirSync(`${root}/docs`).map((name) => `docs/${name}`)].filter((path) =>
  path.endsWith('.md'),
)

/** What a document presupposes; the README presupposes nothing, and the others two members. */
const beginnings: Readonly<Record<string, Beginning>> = {
  'README.md': { typed: [] },
  'docs/artifacts.md': { files: { 'report/summary.txt': 'all is well\n' } },
}

const shells = documents.filter((path) => blocksOf(readText(path)).some(({ language }) => language === 'sh'))

test.concurrent.for(shells)('every line of %s does what it says', { timeout: 240_000 }, async (path) => {
  const beginning: Beginning = { typed: twoMembers, ...beginnings[path] }
  const run = new DocumentRun(path, beginning)
  const begun = performance.now()
  try {
    await run.begin(beginning)
    await run.follow()
  } finally {
    run.end()
  }
  const { blocks, commands, compared, skipped } = run.counts
  const seconds = ((performance.now() - begun) / 1000).toFixed(1)
  const done = `${commands} lines in ${blocks} blocks typed, ${compared} outputs compared, ${seconds} s`
  console.log([`${path}: ${done}`, ...skipped.map((each) => `  skipped ${each}`)].join('\n'))
})

test('docs/README.md leads to every document', () => {
  const index = readText('docs/README.md')
  const missing = documents.filter((path) => path !== 'README.md' && !index.includes(`(${path.slice('docs/'.length)})`))
  expect(missing).toEqual(['docs/README.md'])
})

test('no command stands in an indented block, where nobody would run it', () => {
  const indented = documents.flatMap((path) =>
    withoutFences(readText(path))
      .filter((line) => /^ {4,}(?:npx )?(?:claudemesh|curl|npm|git) /.test(line))
      .map((line) => `${path}: ${line.trim()}`),
  )
  expect(indented).toEqual([])
})

test('every command that a document names is there', () => {
  const named = documents.flatMap((path) =>
    [...readText(path).matchAll(/`claudemesh ([a-z][^`]*)`/g)].map(([, line = '']) => ({ path, line })),
  )
  expect(named.length).toBeGreaterThan(80)
  const missing = named.filter(({ line }) => !['command', 'help'].includes(resolveCommand(line.split(/\s+/)).kind))
  expect(missing.map(({ path, line }) => `${path}: ${line}`)).toEqual([])
})

function withoutFences(text: string): readonly string[] {
  return text.replaceAll(/^```[\s\S]*?^```$/gm, '').split('\n')
}
