import type { CommandDefinition } from '../../command.ts'
import { withDaemon } from '../../connection.ts'
import { exitCodes } from '../../exit-codes.ts'
import { renderRowTable } from '../../output/outbox-rows.ts'

const limitMax = 500
const limitDefault = 50

export const command: CommandDefinition = {
  summary: 'List rows of the outbox, the newest first',
  options: [
    { syntax: '--status <status>', describe: 'only pending, inflight, done, dead or aborted ones' },
    { syntax: '--limit <n>', describe: `how many at most, 1 to ${limitMax}; default ${limitDefault}` },
    { syntax: '--after <id>', describe: 'the next page: what comes after the row of that id' },
  ],
  examples: [
    { line: 'claudemesh daemon outbox list --status dead', describe: 'what could not be sent and needs a decision' },
  ],

  async run(invocation) {
    const { flags, terminal } = invocation
    const status = flags.choice('status', ['pending', 'inflight', 'done', 'dead', 'aborted'])
    const limit = flags.integer('limit', { min: 1, max: limitMax }) ?? limitDefault
    const after = flags.text('after')
    const query = { limit, ...(status === null ? {} : { status }), ...(after === null ? {} : { after }) }
    const list = await withDaemon(invocation, async (client) => await client.outbox(query))
    terminal.print({
      value: list,
      render: ({ rows, next }) => [
        ...(rows.length === 0 ? ['no rows'] : renderRowTable(terminal, rows)),
        ...(next === null ? [] : [`there are older ones: --after ${next}`]),
      ],
    })
    return exitCodes.ok
  },
}
