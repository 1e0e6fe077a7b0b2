import type { CommandDefinition } from '../command.ts'
import { exitCodes } from '../exit-codes.ts'
import { selectMesh } from '../mesh-selection.ts'
import { readVersion } from '../version.ts'

export const command: CommandDefinition = {
  summary: 'Serve the mesh to an agent by the Model Context Protocol, over stdin and stdout',
  examples: [
    { line: 'claude mcp add claudemesh -- claudemesh mcp', describe: 'give it to an agent, which starts it by itself' },
    { line: 'claudemesh mcp --mesh team', describe: 'of another mesh than the one that commands act in' },
  ],

  async run(invocation) {
    const [{ openClient }, { serveMcp }] = await Promise.all([import('@claudemesh/client'), import('../mcp/server.ts')])
    const client = openClient({ home: invocation.environment.home, mesh: selectMesh(invocation) })
    try {
      await serveMcp({ client, version: readVersion() })
    } finally {
      await client.close()
    }
    return exitCodes.ok
  },
}
