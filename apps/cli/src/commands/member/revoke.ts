import type { CommandDefinition } from '../../command.ts'
import { withDaemon } from '../../connection.ts'
import { exitCodes } from '../../exit-codes.ts'
import { oneLine } from '../../output/printable.ts'
import { formatTime } from '../../output/quantity.ts'

export const command: CommandDefinition = {
  summary: 'End the place of a member in the mesh, for ever (admins)',
  arguments: [{ syntax: '<member>', describe: 'its name or its member id' }],
  options: [{ syntax: '--reason <text>', describe: 'one line that everybody can read, up to 64 characters' }],
  examples: [
    { line: 'claudemesh member revoke laptop --reason "stolen"', describe: 'nothing is sealed to it any more' },
    { line: 'claudemesh peers', describe: 'see who is there; the ids tell two of one name apart' },
  ],

  async run(invocation) {
    const { args, flags, terminal } = invocation
    const reason = flags.text('reason')
    const request = reason === null ? {} : { reason }
    const answer = await withDaemon(invocation, async (client) => await client.revokeMember(args[0] ?? '', request))
    terminal.print({
      value: answer,
      render: ({ member_id, name, changed, revoked_at, number }) => {
        const who = name === null ? member_id : `${oneLine(name)} (${member_id.slice(0, 16)}…)`
        return [
          changed
            ? `${who} is revoked; revocation list ${number} is in force`
            : `${who} was revoked already, at ${formatTime(revoked_at)}`,
        ]
      },
    })
    return exitCodes.ok
  },
}
