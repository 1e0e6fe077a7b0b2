/** The catalogue of errors, its use and its document agree. */
import { errorCatalogue } from '@claudemesh/protocol'
import { expect, test } from 'vitest'
import { literalText, root, visitNodes, visitProductionSources } from './sources.ts'

test('every code of the catalogue is used by some source', () => {
  const unused = new Set(Object.keys(errorCatalogue))
  visitProductionSources(({ path, tree }) => {
    if (path === 'packages/protocol/src/errors.ts' || path === 'packages/protocol/src/artifact-errors.ts') return
    visitNodes(tree, (node) => {
      unused.delete(literalText(node) ?? '')
    })
  })
  expect([...unused], 'a code that nobody answers with is no code').toEqual([])
})

test('docs/errors.md is the catalogue (written anew by `npx vitest run test/tidy/error-catalogue.test.ts --update`)', async () => {
  await expect(renderDocument()).toMatchFileSnapshot(`${root}/docs/errors.md`)
})

function renderDocument(): string {
  const rows = Object.entries(errorCatalogue).map(
    ([code, { status, retryable, title, hint }]) =>
      `| \`${code}\` | ${status} | ${retryable ? 'yes' : 'no'} | ${cell(title)} | ${cell(hint)} |`,
  )
  return `# Errors

Every error is answered as a problem document (RFC 9457, \`application/problem+json\`) with one of these codes, which
never change their meaning. The command line prints the same sentences. Retryable: the same request, unchanged, can
succeed later; sends are retried with the same idempotency key.

| code | status | retryable | what happened | what to do |
|---|---|---|---|---|
${rows.join('\n')}
`
}

/** Text of a table's cell: outside of code, nothing in it is taken for markup. */
function cell(text: string): string {
  const escaped = (part: string) => part.replaceAll('<', '\\<').replaceAll('$', '\\$')
  return text
    .replaceAll('|', '\\|')
    .split('`')
    .map((part, index) => (index % 2 === 0 ? escaped(part) : part))
    .join('`')
}
