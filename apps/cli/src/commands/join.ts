import type { CommandDefinition } from '../command.ts'
import { startCommand } from '../connection.ts'
import { exitCodes } from '../exit-codes.ts'
import { type Flags, invalidUsage } from '../flags.ts'
import { defaultMemberName } from '../member-name.ts'
import { readText } from '../text-input.ts'

export const command: CommandDefinition = {
  summary: 'Join the mesh that an invite token belongs to',
  arguments: [{ syntax: '[token]', describe: 'the token, or - to read it from stdin' }],
  options: [
    { syntax: '--token-file <path>', describe: 'read the token from a file, which keeps it out of the shell history' },
    { syntax: '--name <name>', describe: 'name of this member; default: the name of this host' },
    { syntax: '--ephemeral', describe: 'a member that leaves when its daemon stops; the default in CI jobs' },
    { syntax: '--ttl <duration>', describe: 'after how long away it is removed when it could not leave; default 2h' },
    { syntax: '--persistent', describe: 'a member that stays, also in a CI job' },
  ],
  examples: [
    { line: 'claudemesh join cm1... --name reviewer', describe: 'join as reviewer' },
    { line: 'claudemesh join --token-file team.token', describe: 'the token from a file' },
    { line: 'claudemesh join - --ephemeral --ttl 30m < job.token', describe: 'for as long as a job runs' },
    { line: 'claudemesh invite create | ssh host claudemesh join -', describe: 'bring in another host in one line' },
  ],

  async run({ args, flags, mesh, environment, terminal }) {
    const token = await readText(
      { text: args[0] ?? null, file: flags.text('token-file') },
      {
        what: 'the token',
        fileOption: '--token-file',
      },
    )
    const { joinHere } = await import('../new-member.ts')
    const name = flags.text('name') ?? defaultMemberName(environment.hostname)
    const ephemeralTtlMs = readTtl(flags, environment.isCi)
    const { slug, file } = await joinHere({ home: environment.home, slug: mesh, name, token, ephemeralTtlMs })
    terminal.print({
      value: {
        home: environment.home,
        mesh: slug,
        mesh_id: file.mesh.mesh_id,
        name: file.name,
        member_id: file.memberId,
        broker_url: file.broker.url,
        ephemeral_ttl_ms: ephemeralTtlMs,
      },
      render: (value) => [
        `joined mesh ${value.mesh} as ${value.name} (${value.member_id.slice(0, 16)}…)`,
        `broker: ${value.broker_url}`,
        ...(ephemeralTtlMs === null ? [] : [`ephemeral: it leaves the mesh when its daemon stops`]),
        `  -> ${startCommand(value.mesh)}`,
      ],
    })
    return exitCodes.ok
  },
}

const ttlMs = { default: 2 * 3_600_000, min: 1_000, max: 30 * 24 * 3_600_000 }

/** @returns null for a member that stays */
function readTtl(flags: Flags, isCi: boolean): number | null {
  const isEphemeral = flags.isSet('ephemeral')
  const isPersistent = flags.isSet('persistent')
  const ttl = flags.duration('ttl')
  if (isPersistent && (isEphemeral || ttl !== null)) {
    throw invalidUsage('--persistent contradicts --ephemeral and --ttl')
  }
  if (isPersistent || !(isEphemeral || isCi)) {
    if (ttl !== null && !isPersistent) throw invalidUsage('--ttl is for members that are --ephemeral')
    return null
  }
  if (ttl !== null && (ttl < ttlMs.min || ttl > ttlMs.max)) throw invalidUsage('--ttl takes 1s to 30d')
  return ttl ?? ttlMs.default
}
