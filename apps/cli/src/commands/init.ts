import type { CommandDefinition } from '../command.ts'
import { exitCodes } from '../exit-codes.ts'
import { defaultMemberName } from '../member-name.ts'
import { describeFounding, foundingOptions } from './mesh/create.ts'

export const command: CommandDefinition = {
  summary: 'Make a home with a first mesh, on a local broker unless --broker names one',
  options: foundingOptions,
  examples: [
    { line: 'claudemesh init && claudemesh daemon start', describe: 'all that a person alone needs' },
    {
      line: 'claudemesh init --mesh team --broker wss://mesh.example.org',
      describe: 'a mesh whose broker others reach',
    },
  ],

  async run({ flags, mesh, environment, terminal }) {
    const { foundHere } = await import('../new-member.ts')
    const slug = mesh ?? environment.mesh ?? 'home'
    const name = flags.text('name') ?? defaultMemberName(environment.hostname)
    const file = await foundHere({ home: environment.home, slug, name, brokerUrl: flags.text('broker') })
    terminal.print(describeFounding({ home: environment.home, slug, file }))
    return exitCodes.ok
  },
}
