import type { CommandDefinition } from '../../command.ts'
import { startCommand } from '../../connection.ts'
import { exitCodes } from '../../exit-codes.ts'
import { selectMesh } from '../../mesh-selection.ts'
import { oneLine } from '../../output/printable.ts'
import { readText } from '../../text-input.ts'

export const command: CommandDefinition = {
  summary: 'Make a new member of this host, instead of the one that its home has',
  arguments: [{ syntax: '[token]', describe: 'an invite, or - to read it from stdin; without one: the root key' }],
  options: [
    { syntax: '--token-file <path>', describe: 'read the invite from a file' },
    { syntax: '--name <name>', describe: 'name of the new member; default: that of the present one' },
    { syntax: '--discard-outbox', describe: 'drop messages that wait to be sent in the name of the present member' },
  ],
  examples: [
    { line: 'claudemesh daemon remint --token-file team.token --name builder-2', describe: 'after a home was copied' },
    { line: 'claudemesh daemon remint', describe: 'on the host that made the mesh, no invite is needed' },
  ],

  async run({ args, flags, mesh, environment, terminal }) {
    const { remint, systemRuntime } = await import('@claudemesh/daemon')
    const slug = selectMesh({ environment, mesh })
    const sources = { text: args[0] ?? null, file: flags.text('token-file') }
    const isInvited = sources.text !== null || sources.file !== null
    const token = isInvited ? await readText(sources, { what: 'the token', fileOption: '--token-file' }) : null
    const reminted = remint({
      home: environment.home,
      slug,
      name: flags.text('name'),
      token,
      discardOutbox: flags.isSet('discard-outbox'),
      runtime: systemRuntime(),
    })
    const { memberId, formerMemberId, name, role, rowsDropped } = reminted
    terminal.print({
      value: {
        mesh: slug,
        member_id: memberId,
        name,
        role,
        former_member_id: formerMemberId,
        rows_dropped: rowsDropped,
      },
      render: () => [
        `this host is ${oneLine(name)} (${memberId.slice(0, 16)}…), ${role}`,
        ...(rowsDropped === 0 ? [] : [`${rowsDropped} messages of the former member were dropped`]),
        `the former member stays in the mesh: ${formerMemberId}`,
        '  -> if nobody uses it any more: claudemesh member revoke <its id>',
        `  -> ${startCommand(slug)}`,
      ],
    })
    return exitCodes.ok
  },
}
