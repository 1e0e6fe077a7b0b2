/** All SQL of a database is in its `statements.ts` and its `schema/`; packages/storage has that of every database. */
import { isCallExpression, isPropertyAccessExpression, type Node } from 'typescript/unstable/ast'
import { describe, expect, test } from 'vitest'
import { literalText, placeOf, visitNodes, visitProductionSources } from './sources.ts'

const home = /^packages\/storage\/|\/statements\.ts$|\/schema\//

const sqlPatterns: readonly RegExp[] = [
  /^\s*select\b[\s\S]*\bfrom\b\s/i,
  /\binsert\s+(or\s+\w+\s+)?into\s+\w+\s*(\(|values\b|select\b)/i,
  /^\s*update\s+(or\s+\w+\s+)?\w+\s+set\b/i,
  /^\s*delete\s+from\s+\w+/i,
  /^\s*(create|drop|alter)\s+(temp\s+|unique\s+|virtual\s+)*(table|index|view|trigger)\b/i,
  /^\s*begin\s+(immediate|exclusive|deferred)\b/i,
  /^\s*pragma\s+\w+/i,
  /^\s*(COMMIT|ROLLBACK|VACUUM|REINDEX)\s*;?\s*$/,
  /\b(WHERE|ORDER BY|GROUP BY|HAVING|LIMIT|RETURNING|ON CONFLICT|LEFT JOIN|INNER JOIN|IS NULL|IS NOT NULL)\b/,
]

/** Methods that take SQL, however the text came about, and the objects that have them. */
const sqlMethods = new Set(['prepare', 'pragma'])
const databaseNames = /(db|database)$/i

test('no SQL stands outside statements.ts, schema/ and packages/storage', () => {
  const places: string[] = []
  visitProductionSources((source) => {
    if (home.test(source.path)) return
    visitNodes(source.tree, (node) => {
      if (isSqlText(literalText(node)) || isSqlCall(node)) places.push(placeOf(source, node))
    })
  })
  expect(places).toEqual([])
})

describe('what counts as SQL', () => {
  const sql = [
    'SELECT 1 FROM t',
    'select id\n  from outbox\n where id = ?',
    'INSERT OR IGNORE INTO t (a) VALUES (?)',
    'insert into t select * from u',
    'UPDATE outbox SET status = ?',
    'DELETE FROM t',
    'CREATE UNIQUE INDEX i ON t (a)',
    'PRAGMA journal_mode = WAL',
    'BEGIN IMMEDIATE',
    'COMMIT',
    ' WHERE id > ?',
    ' ORDER BY id LIMIT ?',
  ]
  for (const text of sql) test(`${JSON.stringify(text)} does`, () => expect(isSqlText(text)).toBe(true))

  const prose = [
    'choose where it goes',
    'begin again without `after`',
    'update the mesh settings',
    'commit',
    'insert into the socket',
    'delete',
    'the members, selected from those you trust',
  ]
  for (const text of prose) test(`${JSON.stringify(text)} does not`, () => expect(isSqlText(text)).toBe(false))
})

function isSqlText(text: string | null): boolean {
  return text !== null && sqlPatterns.some((pattern) => pattern.test(text))
}

function isSqlCall(node: Node): boolean {
  if (!isCallExpression(node) || !isPropertyAccessExpression(node.expression)) return false
  const { expression, name } = node.expression
  return sqlMethods.has(name.text) && databaseNames.test(expression.getText())
}
