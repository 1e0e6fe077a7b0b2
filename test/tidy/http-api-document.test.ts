/** docs/http-api.md says of every route what the daemon says of it. */
import { expect, test } from 'vitest'
import { startDaemon } from '../support/daemon-in-process.ts'
import { foundHome } from '../support/home.ts'
import { withGeneratedPart } from './generated-part.ts'
import { schemaText } from './schema-text.ts'
import { root } from './sources.ts'

interface Content {
  readonly content?: Readonly<Record<string, { readonly schema?: unknown }>>
}

interface Operation {
  readonly summary: string
  readonly description?: string
  readonly tags: readonly string[]
  readonly parameters?: readonly {
    readonly in: string
    readonly name: string
    readonly required?: boolean
    readonly schema: unknown
    readonly description?: string
  }[]
  readonly requestBody?: Content
  readonly responses: Readonly<Record<string, Content>>
}

interface Route {
  readonly method: string
  readonly path: string
  readonly operation: Operation
}

test('docs/http-api.md is the OpenAPI document (written anew by `npx vitest run test/tidy/http-api-document.test.ts --update`)', async () => {
  const { get } = await startDaemon(foundHome())
  const document = (await get('/v1/openapi.json')).json as { paths: Record<string, Record<string, Operation>> }
  const routes = Object.entries(document.paths).flatMap(([path, operations]) =>
    Object.entries(operations).map(([method, operation]) => ({ method: method.toUpperCase(), path, operation })),
  )
  await expect(withGeneratedPart('docs/http-api.md', render(routes))).toMatchFileSnapshot(`${root}/docs/http-api.md`)
})

function render(routes: readonly Route[]): string {
  const tags = [...new Set(routes.map(({ operation }) => operation.tags[0]))]
  const of = (tag: string | undefined) => routes.filter(({ operation }) => operation.tags[0] === tag)
  return tags.map((tag) => `## ${tag}\n\n${of(tag).map(renderRoute).join('\n')}`).join('\n')
}

function renderRoute({ method, path, operation }: Route): string {
  const { summary, description, parameters = [], requestBody, responses } = operation
  const given = parameters.filter((each) => each.in !== 'path')
  const rows = given.map(
    ({ in: place, name, required, schema, description: what = '' }) =>
      `| \`${name}\`${required === true ? '' : ' (optional)'} | ${place} | \`${schemaText(schema).replaceAll('|', '\\|')}\` | ${what} |`,
  )
  return [
    `### ${method} ${path}\n`,
    `${summary}.${description === undefined ? '' : ` ${description.replace(/\.?$/, '.')}`}\n`,
    ...(rows.length === 0 ? [] : [`| name | where | form | |\n|---|---|---|---|\n${rows.join('\n')}\n`]),
    ...bodies('Body', requestBody),
    ...answers(responses),
  ].join('\n')
}

/** The same answer under several codes is told once. */
function answers(responses: Operation['responses']): readonly string[] {
  const told = new Map<string, string[]>()
  for (const [status, response] of Object.entries(responses)) {
    if (status === 'default') continue
    const text = bodies('', response).join('\n')
    told.set(text, [...(told.get(text) ?? []), status])
  }
  return [...told].map(
    ([text, statuses]) =>
      `Answers ${statuses.map((each) => `\`${each}\``).join(', ')}${text === '' ? '.\n' : `:\n${text}`}`,
  )
}

function bodies(verb: string, { content = {} }: Content = {}): readonly string[] {
  return Object.entries(content).map(([mediaType, { schema }]) => {
    const form = schema === undefined ? '' : schemaText(schema)
    const title =
      verb === '' ? (mediaType === 'application/json' ? '' : `\n\`${mediaType}\`\n`) : `${verb}, \`${mediaType}\`:\n`
    return form.startsWith('{') || form.includes('\n')
      ? `${title}\n\`\`\`ts\n${form}\n\`\`\`\n`
      : `${title}\n\`${form || 'bytes'}\`\n`
  })
}
