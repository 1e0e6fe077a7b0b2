import type { CommandDefinition } from '../../command.ts'
import { withDaemon } from '../../connection.ts'
import { exitCodes } from '../../exit-codes.ts'
import { outboxIdArgument, outboxIdOption, readOutboxId } from '../../outbox-id.ts'
import { renderOutboxDetail } from '../../output/outbox-rows.ts'

export const command: CommandDefinition = {
  summary: 'Show one row: what is proven of it, its receipts, its successors',
  arguments: [{ ...outboxIdArgument, describe: 'outbox id or client_message_id of the row' }],
  options: [outboxIdOption],
  examples: [{ line: 'claudemesh daemon outbox show deploy-4711', describe: 'by the key that the send was given' }],

  async run(invocation) {
    const { terminal } = invocation
    const id = readOutboxId(invocation)
    const { detail, peers } = await withDaemon(invocation, async (client) => ({
      detail: await client.outboxRow(id),
      peers: (await client.peers()).peers,
    }))
    const names = new Map(peers.map((peer) => [peer.member_id, peer.name]))
    terminal.print({ value: detail, render: (value) => renderOutboxDetail(terminal, value, names) })
    return exitCodes.ok
  },
}
