/** docs/protocol.md says of every frame, call and close code what the schemas say. */
import { expect, test } from 'vitest'
import { closeCodes } from '../../packages/protocol/src/close-codes.ts'
import { brokerFrames, daemonFrames } from '../../packages/protocol/src/frames.ts'
import { operations } from '../../packages/protocol/src/requests.ts'
import { withGeneratedPart } from './generated-part.ts'
import { schemaText } from './schema-text.ts'
import { root } from './sources.ts'

test('docs/protocol.md is what the schemas say (written anew by `npx vitest run test/tidy/protocol-document.test.ts --update`)', async () => {
  const parts = [
    frames('Frames of a daemon', daemonFrames),
    frames('Frames of a broker', brokerFrames),
    calls(),
    closes(),
  ]
  await expect(withGeneratedPart('docs/protocol.md', parts.join('\n'))).toMatchFileSnapshot(`${root}/docs/protocol.md`)
})

function frames(title: string, schemas: Readonly<Record<string, unknown>>): string {
  return `## ${title}\n\n${Object.entries(schemas)
    .map(([name, schema]) => `### ${name}\n\n${block(schema)}`)
    .join('\n')}`
}

function calls(): string {
  const told = Object.entries(operations).map(
    ([name, { params, result }]) => `### ${name}\n\n\`params\`:\n\n${block(params)}\n\`result\`:\n\n${block(result)}`,
  )
  return `## Calls\n\n${told.join('\n')}`
}

function closes(): string {
  const then = {
    reconnect: 'reconnects with backoff',
    exit: 'exits and says why',
    wait: 'waits: another host uses the identity',
  }
  const rows = Object.values(closeCodes).map(({ code, name, after }) => `| ${code} | \`${name}\` | ${then[after]} |`)
  return `## Close codes\n\n| code | name | the daemon then |\n|---|---|---|\n${rows.join('\n')}\n`
}

function block(schema: unknown): string {
  return `\`\`\`ts\n${schemaText(schema)}\n\`\`\`\n`
}
