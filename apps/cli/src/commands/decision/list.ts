import type { SpaceView } from '@claudemesh/protocol/spaces'
import type { CommandDefinition } from '../../command.ts'
import { withDaemon } from '../../connection.ts'
import { renderSpaces } from '../../decisions/render.ts'
import { exitCodes } from '../../exit-codes.ts'

export const command: CommandDefinition = {
  summary: 'List the spaces of this host, how much was decided in each, and who appends to it',
  examples: [{ line: 'claudemesh decision list --json', describe: 'with the whole of each lease' }],

  async run(invocation) {
    const { terminal } = invocation
    const listed: SpaceView[] = []
    await withDaemon(invocation, async ({ spaces }) => {
      for await (const space of spaces.each()) listed.push(space)
    })
    terminal.print({
      value: { spaces: listed },
      render: () => (listed.length === 0 ? ['no spaces'] : renderSpaces(terminal, listed)),
    })
    return exitCodes.ok
  },
}
