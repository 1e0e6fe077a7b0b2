import { readFileSync } from 'node:fs'
import type { CommandDefinition } from '../../command.ts'
import { startCommand } from '../../connection.ts'
import { exitCodes } from '../../exit-codes.ts'
import { invalidUsage } from '../../flags.ts'
import { formatTime } from '../../output/quantity.ts'
import { passphraseOption, readPassphrase } from '../../passphrase-input.ts'

export const command: CommandDefinition = {
  summary: 'Bring a member back from a backup, into a home that does not have its mesh',
  options: [
    { syntax: '--in <path>', describe: 'the file that `daemon backup` wrote' },
    { syntax: '--without-outbox', describe: 'leave the messages in it behind; nothing of them is sent' },
    passphraseOption,
  ],
  examples: [
    { line: 'claudemesh daemon restore --in alice.backup && claudemesh daemon start', describe: 'on the new host' },
    {
      line: 'CLAUDEMESH_HOME=/srv/mesh claudemesh daemon restore --in alice.backup --passphrase-file phrase',
      describe: 'into another home',
    },
  ],

  async run({ flags, mesh, environment, terminal }) {
    const path = flags.text('in')
    if (path === null) throw invalidUsage('--in is missing', 'Name the file: `claudemesh daemon restore --in <path>`.')
    const bytes = readBackup(path)
    const passphrase = await readPassphrase({ file: flags.text('passphrase-file'), repeat: false })
    const { restoreBackup, systemRuntime } = await import('@claudemesh/daemon')
    const { facts, parts, kept, waiting } = await restoreBackup({
      home: environment.home,
      slug: mesh,
      bytes,
      passphrase,
      withOutbox: !flags.isSet('without-outbox'),
      runtime: systemRuntime(),
    })
    const { slug, mesh_id, member_id, name, created_at } = facts
    terminal.print({
      value: { home: environment.home, mesh: slug, mesh_id, member_id, name, created_at, parts, kept, waiting },
      render: (value) => [
        `${value.name} of mesh ${slug} is back in ${value.home}, as of ${formatTime(value.created_at)}: ${value.parts.join(', ')}`,
        ...value.kept.map((part) => `this home has its own ${part} and keeps it`),
        ...(value.waiting === 0
          ? []
          : [
              `still to be sent: ${value.waiting}; the start sends what the broker does not have yet`,
              '  -> was one of them requeued since the backup? Its first id is new to the broker: it would arrive twice.',
              '     Then restore into another home with --without-outbox',
            ]),
        '  -> make sure that the old host does not use it any more, then:',
        `  -> ${startCommand(slug)}`,
      ],
    })
    return exitCodes.ok
  },
}

function readBackup(path: string): Buffer {
  try {
    return readFileSync(path)
  } catch (cause) {
    throw invalidUsage(`cannot read ${path}: ${cause instanceof Error ? cause.message : String(cause)}`)
  }
}
