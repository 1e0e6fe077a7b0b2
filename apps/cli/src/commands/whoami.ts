import type { CommandDefinition } from '../command.ts'
import { exitCodes } from '../exit-codes.ts'
import { readMembership } from '../membership.ts'
import { selectMesh } from '../mesh-selection.ts'
import { renderFields } from '../output/fields.ts'

export const command: CommandDefinition = {
  summary: 'Say who this host is in the mesh; no daemon is needed',
  examples: [
    { line: 'claudemesh whoami', describe: 'name, id, role and mesh' },
    { line: 'claudemesh whoami --json | jq -r .member_id', describe: 'the member id alone' },
  ],

  async run({ mesh, environment, terminal }) {
    const slug = selectMesh({ environment, mesh })
    const membership = await readMembership({ home: environment.home, mesh: slug })
    const { name, member_id, role, mesh_id } = membership
    terminal.print({
      value: { name, member_id, role, mesh: slug, mesh_id, home: environment.home },
      render: (value) =>
        renderFields({
          name: value.name,
          'member id': value.member_id,
          role: value.role,
          mesh: value.mesh,
          home: value.home,
        }),
    })
    return exitCodes.ok
  },
}
