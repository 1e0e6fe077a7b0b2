import type { Peer } from '@claudemesh/protocol'
import type { CommandDefinition } from '../command.ts'
import { withDaemon } from '../connection.ts'
import { exitCodes } from '../exit-codes.ts'
import { oneLine } from '../output/printable.ts'
import { formatTime } from '../output/quantity.ts'
import { renderTable } from '../output/table.ts'

export const command: CommandDefinition = {
  summary: 'List the members of the mesh: who is there, and since when the others are not',
  examples: [
    { line: 'claudemesh peers', describe: 'names, roles, presence' },
    { line: "claudemesh peers --json | jq -r '.peers[] | select(.online) | .name'", describe: 'who is online' },
  ],

  async run(invocation) {
    const { terminal } = invocation
    const list = await withDaemon(invocation, async (client) => await client.peers())
    terminal.print({
      value: list,
      render: ({ peers, synced_at: syncedAt }) => [
        ...renderTable(
          [
            { title: 'NAME', cell: (row) => oneLine(row.name) },
            { title: 'ROLE', cell: (row) => row.role },
            { title: 'PRESENCE', cell: presence },
            {
              title: 'ABOUT',
              cell: (row) => oneLine([row.activity, row.summary].filter(Boolean).join(': ')),
              flexible: true,
            },
            { title: 'MEMBER ID', cell: (row) => row.member_id, flexible: true },
          ],
          peers,
          { width: terminal.width, paintTitle: (text) => terminal.paint('dim', text) },
        ),
        ...(syncedAt === null ? ['the broker has not been reached yet: others may be missing'] : []),
      ],
    })
    return exitCodes.ok
  },
}

function presence(peer: Peer): string {
  if (peer.status === 'revoked') return 'revoked'
  if (peer.self) return 'you'
  if (peer.online) return 'online'
  return peer.last_seen_at === null ? 'never seen' : `seen ${formatTime(peer.last_seen_at)}`
}
