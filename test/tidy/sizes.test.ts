/**
 * A file is read in one sitting, a function in one glance: 300 lines and 70. Exceptions have a reason and only ever
 * leave the list; a straight sequence is not cut for the sake of the number.
 */
import { type Node, SyntaxKind } from 'typescript/unstable/ast'
import { expect, test } from 'vitest'
import {
  countLines,
  isProduction,
  listPaths,
  readText,
  type Source,
  visitNodes,
  visitProductionSources,
} from './sources.ts'

const fileLinesMax = 300
const functionLinesMax = 70

const longFiles: Readonly<Record<string, string>> = {
  'apps/daemon/src/inbox/statements.ts': 'every statement on the inbox, side by side',
  'apps/daemon/src/outbox/outbox.ts': 'one function per move, in the order of a row’s life',
  'apps/daemon/src/outbox/statements.ts': 'every statement on the outbox, side by side',
  'packages/protocol/src/errors.ts': 'the catalogue of errors: one table, looked up and not read through',
  'packages/protocol/src/frames.ts': 'the schemas of all frames: one table per direction, compared side by side',
}

const functionKinds = new Set([
  SyntaxKind.FunctionDeclaration,
  SyntaxKind.FunctionExpression,
  SyntaxKind.ArrowFunction,
  SyntaxKind.MethodDeclaration,
  SyntaxKind.Constructor,
  SyntaxKind.GetAccessor,
  SyntaxKind.SetAccessor,
])

/** `path name` to the reason. */
const longFunctions: Readonly<Record<string, string>> = {}

test(`no file has more than ${fileLinesMax} lines, except those listed`, () => {
  const long = listPaths()
    .filter((path) => isProduction(path) || isMachinery(path))
    .map((path) => ({ path, lines: countLines(readText(path)) }))
    .filter(({ lines }) => lines > fileLinesMax)
  const unlisted = long.filter(({ path }) => longFiles[path] === undefined)
  expect(unlisted.map(({ path, lines }) => `${path} has ${lines} lines`)).toEqual([])
  expect(Object.keys(longFiles).sort(), 'a file that is short again leaves the list').toEqual(
    long.map(({ path }) => path).sort(),
  )
})

test(`no function has more than ${functionLinesMax} lines, except those listed`, () => {
  const long: { name: string; lines: number }[] = []
  visitProductionSources((source) => {
    visitNodes(source.tree, (node) => {
      if (!functionKinds.has(node.kind) || isStatementList(source, node)) return
      const lines = linesOf(source, node)
      if (lines > functionLinesMax) long.push({ name: `${source.path} ${nameOf(node)}`, lines })
    })
  })
  const unlisted = long.filter(({ name }) => longFunctions[name] === undefined)
  expect(unlisted.map(({ name, lines }) => `${name} has ${lines} lines`)).toEqual([])
  expect(Object.keys(longFunctions).sort(), 'a function that is short again leaves the list').toEqual(
    long.map(({ name }) => name).sort(),
  )
})

/** What tests and scripts are run with. Tests themselves are rows and scenarios, and as long as these are. */
function isMachinery(path: string): boolean {
  return /^(test|scripts)\/.*\.(ts|mjs)$/.test(path) && !path.endsWith('.test.ts')
}

function linesOf(source: Source, node: Node): number {
  const first = source.tree.getLineAndCharacterOfPosition(node.getStart()).line
  return source.tree.getLineAndCharacterOfPosition(node.end).line - first + 1
}

/** A function that only lists the statements of a database, one named entry after the other, is a table. */
function isStatementList(source: Source, node: Node): boolean {
  return source.path.endsWith('/statements.ts') && nameOf(node).startsWith('prepare')
}

/** A function that has no name of its own has that of what it is assigned to. */
function nameOf(node: Node): string {
  for (let named: Node | undefined = node; named !== undefined; named = named.parent) {
    if ('name' in named && typeof named.name === 'object' && named.name !== null) return (named.name as Node).getText()
  }
  return 'without a name'
}
