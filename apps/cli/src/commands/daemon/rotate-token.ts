import type { CommandDefinition } from '../../command.ts'
import { withDaemon } from '../../connection.ts'
import { exitCodes } from '../../exit-codes.ts'
import { formatTime } from '../../output/quantity.ts'

export const command: CommandDefinition = {
  summary: 'Replace the token with which programs reach the daemon over TCP',
  examples: [
    { line: 'claudemesh daemon rotate-token', describe: 'the old one is good for a minute more' },
    { line: 'cat "$(claudemesh daemon rotate-token --json | jq -r .path)"', describe: 'and read the new one' },
  ],

  async run(invocation) {
    const { terminal } = invocation
    const answer = await withDaemon(invocation, async (client) => await client.rotateToken())
    terminal.print({
      value: answer,
      render: ({ path, previous_expires_at }) => [
        `a new token is in ${path}`,
        `the old one is accepted until ${formatTime(previous_expires_at)}`,
      ],
    })
    return exitCodes.ok
  },
}
