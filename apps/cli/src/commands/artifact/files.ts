import { renderFileTable } from '../../artifacts/render.ts'
import type { CommandDefinition } from '../../command.ts'
import { withDaemon } from '../../connection.ts'
import { exitCodes } from '../../exit-codes.ts'

const limitMax = 1000
const limitDefault = 100

export const command: CommandDefinition = {
  summary: 'List the files of a package, by their paths',
  arguments: [{ syntax: '<package>', describe: 'its id' }],
  options: [
    { syntax: '--limit <n>', describe: `how many at most, 1 to ${limitMax}; default ${limitDefault}` },
    { syntax: '--after <path>', describe: 'the next page: what comes after that path' },
  ],
  examples: [{ line: 'claudemesh artifact files 01JD... --json', describe: 'with digests and content addresses' }],

  async run(invocation) {
    const { args, flags, terminal } = invocation
    const after = flags.text('after')
    const limit = flags.integer('limit', { min: 1, max: limitMax }) ?? limitDefault
    const query = { limit, ...(after === null ? {} : { after }) }
    const page = await withDaemon(invocation, async ({ artifacts }) => await artifacts.files(args[0] ?? '', query))
    terminal.print({
      value: page,
      render: ({ files, next }) => [
        ...(files.length === 0 ? ['no files'] : renderFileTable(terminal, files)),
        ...(next === null ? [] : [`there are more: --after '${next}'`]),
      ],
    })
    return exitCodes.ok
  },
}
