import type { CommandDefinition } from '../../command.ts'
import { exitCodes } from '../../exit-codes.ts'
import type { LedgerInvite } from '../../invite-ledger.ts'
import { selectMesh } from '../../mesh-selection.ts'
import { formatTime } from '../../output/quantity.ts'
import { renderTable } from '../../output/table.ts'

export const command: CommandDefinition = {
  summary: 'List the invites that were made on this host',
  examples: [{ line: 'claudemesh invite list', describe: 'their roles, uses and expiry; never their tokens' }],

  async run({ mesh, environment, terminal }) {
    const { listInvites } = await import('../../invite-ledger.ts')
    const slug = selectMesh({ environment, mesh })
    const now = Date.now()
    const invites = listInvites({ home: environment.home, mesh: slug }).map((invite) => ({
      ...invite,
      expired: invite.expires_at <= now,
    }))
    terminal.print({
      value: { mesh: slug, invites },
      render: () =>
        invites.length === 0
          ? ['no invite was made on this host', '  -> claudemesh invite create']
          : renderTable(
              [
                { title: 'INVITE', cell: (row) => row.invite_id },
                { title: 'ROLE', cell: (row) => row.role },
                { title: 'USES', cell: (row) => String(row.uses) },
                { title: 'MADE', cell: (row) => formatTime(row.created_at) },
                { title: 'EXPIRES', cell: expiry },
              ],
              invites,
              { width: terminal.width, paintTitle: (text) => terminal.paint('dim', text) },
            ),
    })
    return exitCodes.ok
  },
}

function expiry(invite: LedgerInvite & { readonly expired: boolean }): string {
  if (invite.revoked_at !== null) return 'revoked'
  return invite.expired ? 'expired' : formatTime(invite.expires_at)
}
