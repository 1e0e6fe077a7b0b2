import type { MeshFile } from '@claudemesh/identity'
import type { CommandDefinition, OptionDefinition } from '../../command.ts'
import { startCommand } from '../../connection.ts'
import { exitCodes } from '../../exit-codes.ts'
import { invalidUsage } from '../../flags.ts'
import { defaultMemberName } from '../../member-name.ts'
import type { Printing } from '../../output/terminal.ts'

export const foundingOptions: readonly OptionDefinition[] = [
  { syntax: '--name <name>', describe: 'name of this member; default: the name of this host' },
  {
    syntax: '--broker <url>',
    describe: 'ws:// or wss:// URL of a broker; default: one on this host, started by itself',
  },
]

export const command: CommandDefinition = {
  summary: 'Make another mesh in this home',
  arguments: [{ syntax: '[slug]', describe: 'short name of the mesh; --mesh says the same' }],
  options: foundingOptions,
  examples: [
    { line: 'claudemesh mesh create team --name alice', describe: 'a mesh called team, with you as its admin' },
  ],

  async run({ args, flags, mesh, environment, terminal }) {
    const { foundHere } = await import('../../new-member.ts')
    const slug = args[0] ?? mesh
    if (slug === null)
      throw invalidUsage('the slug of the new mesh is missing', 'Name it: `claudemesh mesh create <slug>`.')
    const name = flags.text('name') ?? defaultMemberName(environment.hostname)
    const file = await foundHere({ home: environment.home, slug, name, brokerUrl: flags.text('broker') })
    terminal.print(describeFounding({ home: environment.home, slug, file }))
    return exitCodes.ok
  },
}

/** What a new member is told: who it is, where its broker is, what comes next. */
export function describeFounding(o: { readonly home: string; readonly slug: string; readonly file: MeshFile }) {
  const { home, slug, file } = o
  const value = {
    home,
    mesh: slug,
    mesh_id: file.mesh.mesh_id,
    name: file.name,
    member_id: file.memberId,
    broker_url: file.broker.url,
    broker_local: file.broker.local,
  }
  const render = () => [
    `mesh ${slug} in ${home}`,
    `you are ${file.name} (${file.memberId.slice(0, 16)}…), admin`,
    file.broker.local
      ? `broker: ${file.broker.url} on this host; the daemon brings it up`
      : `broker: ${file.broker.url}`,
    `  -> ${startCommand(slug)}`,
  ]
  return { value, render } satisfies Printing<typeof value>
}
