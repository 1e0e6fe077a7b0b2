import type { CommandDefinition } from '../../command.ts'
import { withDaemon } from '../../connection.ts'
import { exitCodes } from '../../exit-codes.ts'
import { selectMesh } from '../../mesh-selection.ts'
import { formatTime } from '../../output/quantity.ts'

export const command: CommandDefinition = {
  summary: 'Let nobody else join by an invite (admins)',
  arguments: [{ syntax: '<invite>', describe: 'its id, as `claudemesh invite list` shows it' }],
  examples: [
    { line: 'claudemesh invite list', describe: 'find the invite' },
    { line: 'claudemesh invite revoke 01KBJ5Q0W4N9T0V3Z7Y8X6C2RD', describe: 'who joined by it before stays' },
  ],

  async run(invocation) {
    const { args, environment, terminal } = invocation
    const { recordRevokedInvite } = await import('../../invite-ledger.ts')
    const place = { home: environment.home, mesh: selectMesh(invocation) }
    const answer = await withDaemon(invocation, async (client) => await client.revokeInvite(args[0] ?? ''))
    recordRevokedInvite(place, { invite_id: answer.invite_id, revoked_at: answer.revoked_at })
    terminal.print({
      value: answer,
      render: ({ invite_id, changed, revoked_at, number }) => [
        changed
          ? `invite ${invite_id} is revoked; revocation list ${number} is in force`
          : `invite ${invite_id} was revoked already, at ${formatTime(revoked_at)}`,
      ],
    })
    return exitCodes.ok
  },
}
