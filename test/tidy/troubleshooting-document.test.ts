/** docs/troubleshooting.md tells every health condition, and names no code that nobody gives. */
import { errorCatalogue } from '@claudemesh/protocol'
import { expect, test } from 'vitest'
import { conditions } from '../../apps/daemon/src/health.ts'
import { withGeneratedPart } from './generated-part.ts'
import { readText, root } from './sources.ts'

const path = 'docs/troubleshooting.md'

test('docs/troubleshooting.md tells every condition (written anew by `npx vitest run test/tidy/troubleshooting-document.test.ts --update`)', async () => {
  const rows = Object.entries(conditions).map(
    ([code, { severity, text, remedy }]) => `| \`${code}\` | ${severity} | ${cell(text)} | ${cell(remedy)} |`,
  )
  const table = `| code | how bad | what it means | what to do |\n|---|---|---|---|\n${rows.join('\n')}\n`
  await expect(withGeneratedPart(path, table)).toMatchFileSnapshot(`${root}/${path}`)
})

test('every code that a symptom shows is a condition or an error', () => {
  const symptoms = readText(path).matchAll(/^\| ([^|]*) \|/gm)
  const codes = [...symptoms].flatMap(([, cell = '']) =>
    [...cell.matchAll(/`([a-z]+(?:_[a-z]+)+)`/g)].map(([, code = '']) => code),
  )
  expect(codes.length).toBeGreaterThan(40)
  expect(codes.filter((code) => !(code in conditions) && !(code in errorCatalogue))).toEqual([])
})

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll(/<(\w+)>(?=[^`]*(?:`[^`]*`[^`]*)*$)/g, '\\<$1>')
}
