import type { MeshClient } from '@claudemesh/client'
import type { InboxPage } from '@claudemesh/protocol'
import type { CommandDefinition } from '../../command.ts'
import { withDaemon } from '../../connection.ts'
import { exitCodes } from '../../exit-codes.ts'
import { type Flags, invalidUsage } from '../../flags.ts'
import { renderMessageTable } from '../../output/messages.ts'

const limitMax = 500
const limitDefault = 20

export const command: CommandDefinition = {
  summary: 'List received messages, the newest last',
  options: [
    { syntax: '--unread', describe: 'only those that nobody marked read' },
    { syntax: '--from <member>', describe: 'only those of one member, by name or id' },
    { syntax: '--topic <topic>', describe: 'only those of one topic' },
    { syntax: '--since <time>', describe: 'only those received since then: 2h, 7d, 2026-11-21' },
    { syntax: '--search <words>', describe: 'only those whose text has these words' },
    { syntax: '--limit <n>', describe: `how many at most, 1 to ${limitMax}; default ${limitDefault}` },
    { syntax: '--after <id>', describe: 'the next page: what comes before the message of that id' },
    { syntax: '--mark-read', describe: 'mark what is listed as read' },
  ],
  examples: [
    { line: 'claudemesh inbox --unread --mark-read', describe: 'what is new, once' },
    { line: 'claudemesh inbox --from alice --since 1d', describe: "alice's messages of the last day" },
    { line: 'claudemesh inbox --search deploy --json', describe: 'full-text search, as JSON' },
  ],

  async run(invocation) {
    const { flags, terminal } = invocation
    const page = await withDaemon(invocation, async (client) => {
      const found = await fetchPage(client, flags)
      const unread = found.messages.filter((message) => message.read_at === null).map((message) => message.id)
      if (flags.isSet('mark-read') && unread.length > 0) await client.mark({ ids: unread })
      return found
    })
    terminal.print({
      value: page,
      render: ({ messages, next }) => [
        ...(messages.length === 0 ? ['no messages'] : renderMessageTable(terminal, [...messages].reverse())),
        ...(next === null ? [] : [`there are older ones: --after ${next}`]),
      ],
    })
    return exitCodes.ok
  },
}

async function fetchPage(client: MeshClient, flags: Flags): Promise<InboxPage> {
  const limit = flags.integer('limit', { min: 1, max: limitMax }) ?? limitDefault
  const after = flags.text('after')
  const page = { limit, ...(after === null ? {} : { after }) }
  const words = flags.text('search')
  const filters = readFilters(flags)
  if (words === null) return await client.inbox({ ...filters, ...page, order: 'newest' })
  const [filter] = Object.keys(filters)
  if (filter !== undefined) throw invalidUsage(`--search cannot be combined with --${filter}`)
  return await client.inboxSearch({ q: words, ...page })
}

function readFilters(flags: Flags): { unread?: true; from?: string; topic?: string; since?: number } {
  const from = flags.text('from')
  const topic = flags.text('topic')
  const since = flags.time('since', Date.now())
  return {
    ...(flags.isSet('unread') ? { unread: true } : {}),
    ...(from === null ? {} : { from }),
    ...(topic === null ? {} : { topic }),
    ...(since === null ? {} : { since }),
  }
}
