import type { ShareListQuery } from '@claudemesh/protocol/artifacts'
import type { CommandDefinition } from '../../command.ts'
import { withDaemon } from '../../connection.ts'
import { exitCodes } from '../../exit-codes.ts'
import type { Flags } from '../../flags.ts'
import { oneLine } from '../../output/printable.ts'
import { formatBytes, formatTime } from '../../output/quantity.ts'
import { renderTable } from '../../output/table.ts'

const limitMax = 500
const limitDefault = 50

export const command: CommandDefinition = {
  summary: 'List what is shared with others and by others, the oldest first',
  options: [
    { syntax: '--direction <direction>', describe: 'only sent or only received ones' },
    { syntax: '--peer <id>', describe: 'only those of a member, by its id, or of a #topic' },
    { syntax: '--since <time>', describe: 'only those made since then: 2h, 7d, 2026-11-21' },
    { syntax: '--limit <n>', describe: `how many at most, 1 to ${limitMax}; default ${limitDefault}` },
    { syntax: '--after <id>', describe: 'the next page: what comes after the share of that id' },
  ],
  examples: [
    {
      line: 'claudemesh artifact shares --direction received',
      describe: 'get one with `claudemesh artifact get <share>`',
    },
  ],

  async run(invocation) {
    const { flags, terminal } = invocation
    const query = readQuery(flags)
    const page = await withDaemon(invocation, async ({ files }) => await files.list(query))
    terminal.print({
      value: page,
      render: ({ shares, next }) => [
        ...(shares.length === 0
          ? ['no shares']
          : renderTable(
              [
                { title: 'SHARE', cell: (row) => row.share_id },
                { title: 'STATUS', cell: (row) => row.status },
                { title: 'PEER', cell: (row) => oneLine(row.peer_name ?? row.peer), flexible: true },
                { title: 'SIZE', cell: (row) => formatBytes(row.size_bytes) },
                { title: 'EXPIRES', cell: (row) => (row.expires_at === null ? 'never' : formatTime(row.expires_at)) },
                { title: 'NAME', cell: (row) => oneLine(row.name), flexible: true },
              ],
              shares,
              { width: terminal.width, paintTitle: (text) => terminal.paint('dim', text) },
            )),
        ...(next === null ? [] : [`there are more: --after ${next}`]),
      ],
    })
    return exitCodes.ok
  },
}

function readQuery(flags: Flags): ShareListQuery {
  const direction = flags.choice('direction', ['sent', 'received'])
  const [peer, after, since] = [flags.text('peer'), flags.text('after'), flags.time('since', Date.now())]
  return {
    limit: flags.integer('limit', { min: 1, max: limitMax }) ?? limitDefault,
    ...(direction === null ? {} : { direction }),
    ...(peer === null ? {} : { peer }),
    ...(since === null ? {} : { since }),
    ...(after === null ? {} : { after }),
  }
}
