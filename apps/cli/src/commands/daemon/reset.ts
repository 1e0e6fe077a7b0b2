import type { CommandDefinition } from '../../command.ts'
import { startCommand } from '../../connection.ts'
import { exitCodes } from '../../exit-codes.ts'
import { selectMesh } from '../../mesh-selection.ts'
import { formatBytes } from '../../output/quantity.ts'

export const command: CommandDefinition = {
  summary: 'Give a daemon that is stopped empty stores again; the member stays unless it is to be forgotten',
  options: [
    { syntax: '--confirm', describe: 'do it; without it nothing is changed' },
    { syntax: '--discard-outbox', describe: 'drop messages that wait to be sent' },
    { syntax: '--forget-member', describe: 'delete its keys and its mesh from this home too' },
    {
      syntax: '--discard-root-key',
      describe: 'with --forget-member: also where this home has the root key of the mesh',
    },
  ],
  examples: [
    { line: 'claudemesh daemon reset', describe: 'what would be deleted' },
    { line: 'claudemesh daemon reset --confirm', describe: 'the same member, with nothing sent and nothing received' },
    {
      line: 'claudemesh daemon reset --forget-member --confirm',
      describe: 'afterwards `claudemesh join` makes a new one',
    },
  ],

  async run({ flags, mesh, environment, terminal }) {
    const { resetMember, systemRuntime } = await import('@claudemesh/daemon')
    const slug = selectMesh({ environment, mesh })
    const confirm = flags.isSet('confirm')
    const forgetMember = flags.isSet('forget-member')
    const { entries, waiting, memberId } = resetMember({
      ...{ home: environment.home, slug, confirm, forgetMember },
      discardOutbox: flags.isSet('discard-outbox'),
      discardRootKey: flags.isSet('discard-root-key'),
      runtime: systemRuntime(),
    })
    const next = forgetMember ? ['claudemesh member revoke <its id>, by an admin'] : [startCommand(slug)]
    terminal.print({
      value: { mesh: slug, confirmed: confirm, waiting, member_id: memberId, entries },
      render: () => [
        ...entries.map(
          ({ path, bytes }) => `${confirm ? 'deleted' : 'would be deleted'}: ${path} (${formatBytes(bytes)})`,
        ),
        ...(waiting === null ? ['the outbox cannot be read: nobody can say what waits in it'] : []),
        ...(waiting !== null && waiting > 0 ? [`messages that wait to be sent: ${waiting}`] : []),
        ...(forgetMember && confirm ? [`the member stays in the mesh until it is revoked: ${memberId}`] : []),
        ...(confirm
          ? next
          : [`claudemesh daemon reset${forgetMember ? ' --forget-member' : ''} --confirm --mesh ${slug}`]
        ).map((line) => `  -> ${line}`),
      ],
    })
    return confirm ? exitCodes.ok : exitCodes.failed
  },
}
