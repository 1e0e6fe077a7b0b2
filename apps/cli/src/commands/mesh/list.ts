import type { CommandDefinition } from '../../command.ts'
import { exitCodes } from '../../exit-codes.ts'
import { readMembership } from '../../membership.ts'
import { listMeshes } from '../../mesh-selection.ts'
import { renderTable } from '../../output/table.ts'

export const command: CommandDefinition = {
  summary: 'List the meshes of this home',
  examples: [{ line: 'claudemesh mesh list', describe: 'slug, your name there, the broker' }],

  async run({ environment, terminal }) {
    const memberships = await Promise.all(
      listMeshes(environment.home).map((mesh) => readMembership({ home: environment.home, mesh })),
    )
    terminal.print({
      value: { home: environment.home, meshes: memberships },
      render: ({ meshes, home }) =>
        meshes.length === 0
          ? [`${home} has no mesh yet`, '  -> claudemesh init']
          : renderTable(
              [
                { title: 'MESH', cell: (row) => row.mesh },
                { title: 'NAME', cell: (row) => row.name },
                { title: 'ROLE', cell: (row) => row.role },
                { title: 'BROKER', cell: (row) => row.broker_url, flexible: true },
              ],
              meshes,
              { width: terminal.width, paintTitle: (text) => terminal.paint('dim', text) },
            ),
    })
    return exitCodes.ok
  },
}
