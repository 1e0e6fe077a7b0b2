import type { CommandDefinition } from '../../command.ts'
import { exitCodes } from '../../exit-codes.ts'
import { readMembership } from '../../membership.ts'
import { selectMesh } from '../../mesh-selection.ts'
import { renderFields } from '../../output/fields.ts'
import { formatTime } from '../../output/quantity.ts'

export const command: CommandDefinition = {
  summary: 'Show a mesh of this home: its id, root key and broker',
  arguments: [{ syntax: '[slug]', describe: 'default: the mesh that other commands act in' }],
  examples: [{ line: 'claudemesh mesh show team', describe: 'what this host knows of the mesh team' }],

  async run({ args, mesh, environment, terminal }) {
    const slug = selectMesh({ environment, mesh: args[0] ?? mesh })
    const membership = await readMembership({ home: environment.home, mesh: slug })
    terminal.print({
      value: membership,
      render: (value) =>
        renderFields({
          mesh: value.mesh,
          'mesh id': value.mesh_id,
          'root key': value.owner ? `${value.root_key} (its secret is on this host)` : value.root_key,
          broker: value.broker_local ? `${value.broker_url} (on this host, started by itself)` : value.broker_url,
          'made at': formatTime(value.created_at),
          you: `${value.name}, ${value.role}`,
          'member id': value.member_id,
        }),
    })
    return exitCodes.ok
  },
}
