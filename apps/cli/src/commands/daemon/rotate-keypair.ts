import type { CommandDefinition } from '../../command.ts'
import { withDaemon } from '../../connection.ts'
import { exitCodes } from '../../exit-codes.ts'
import { formatTime } from '../../output/quantity.ts'

export const command: CommandDefinition = {
  summary: 'Replace the keys of this member; its name and id stay',
  examples: [
    { line: 'claudemesh daemon rotate-keypair', describe: 'messages sealed to the old key still open for seven days' },
  ],

  async run(invocation) {
    const { terminal } = invocation
    const answer = await withDaemon(invocation, async (client) => await client.rotateKeypair())
    terminal.print({
      value: answer,
      render: ({ epoch, signing_key, archived_keys: [latest], quarantined }) => [
        `new keys are in force (epoch ${epoch}, signing key ${signing_key.slice(0, 16)}…)`,
        ...(latest === undefined ? [] : [`the old one opens late messages until ${formatTime(latest.expires_at)}`]),
        ...(quarantined === null
          ? []
          : [`the archive of older keys could not be used and was moved to ${quarantined}`]),
      ],
    })
    return exitCodes.ok
  },
}
