/** The program in the README of the client: checked as TypeScript by whoever has the built package alone, and run. */
import { expect, test } from 'vitest'
import { readText, root } from '../tidy/sources.ts'
import { blocksOf } from './blocks.ts'
import { DocumentRun, twoMembers } from './document-run.ts'

const readme = 'packages/client/README.md'
const compilerOptions = {
  module: 'nodenext',
  target: 'es2023',
  strict: true,
  exactOptionalPropertyTypes: true,
  types: ['node'],
}

test('the program in the README of the client compiles strictly, and does what it says', {
  timeout: 240_000,
}, async () => {
  const blocks = blocksOf(readText(readme)).filter(({ language }) => language === 'ts')
  expect(blocks.length).toBeGreaterThan(7)
  const run = new DocumentRun(readme, {
    files: {
      'package.json': '{ "type": "module" }',
      'tsconfig.json': JSON.stringify({ compilerOptions, include: ['*.ts'] }),
      'program.ts': blocks.map(({ text }) => text).join('\n'),
    },
  })
  try {
    const printed = await run.begin({
      typed: [
        ...twoMembers,
        { as: 'reviewer', script: 'claudemesh send --to @alice --wait delivered "hello alice"' },
        { as: 'alice', script: `ln -s ${root}/node_modules node_modules; node_modules/.bin/tsc -p .; node program.js` },
      ],
    })
    const shown = [/^queued \S+$/m, /^delivered \[/m, /^\[ 202, 404 \]$/m, /^reviewer hello alice$/m, / message \{/]
    const others = [/^recipient_unknown .* \[ 'reviewer' \]$/m, / main 1$/m, /^all is well/m, /^1 state \{/m, /^sent /m]
    for (const each of [...shown, ...others]) expect(printed).toMatch(each)
  } finally {
    run.end()
  }
})
