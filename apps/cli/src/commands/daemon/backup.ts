import type { FreezeResponse } from '@claudemesh/protocol'
import type { CommandDefinition, Invocation } from '../../command.ts'
import { withDaemon } from '../../connection.ts'
import { exitCodes } from '../../exit-codes.ts'
import { invalidUsage } from '../../flags.ts'
import { selectMesh } from '../../mesh-selection.ts'
import { formatBytes } from '../../output/quantity.ts'
import { passphraseOption, readPassphrase } from '../../passphrase-input.ts'
import { MeshError } from '../../protocol.ts'

export const command: CommandDefinition = {
  summary: 'Write identity, configuration and subscriptions into one sealed file; the daemon may run',
  options: [
    { syntax: '--out <path>', describe: 'the file to write' },
    { syntax: '--with-outbox', describe: 'with every message of the outbox, sent or not' },
    passphraseOption,
  ],
  examples: [
    { line: 'claudemesh daemon backup --out alice.backup', describe: 'asks for the passphrase' },
    {
      line: 'claudemesh daemon backup --out alice.backup --with-outbox --passphrase-file ~/.backup-passphrase',
      describe: 'from cron',
    },
  ],

  async run(invocation) {
    const { flags, mesh, environment, terminal } = invocation
    const out = flags.text('out')
    if (out === null) throw invalidUsage('--out is missing', 'Name the file: `claudemesh daemon backup --out <path>`.')
    const slug = selectMesh({ environment, mesh })
    const passphrase = await readPassphrase({ file: flags.text('passphrase-file'), repeat: true })
    const { backUp } = await import('@claudemesh/daemon')
    const { writeFileAtomic } = await import('@claudemesh/storage')
    const withOutbox = flags.isSet('with-outbox')
    const sealed = withOutbox ? await sealOutbox(invocation, slug) : null
    const made = await backUp({ home: environment.home, slug, withOutbox, passphrase, now: Date.now() })
    writeFileAtomic(out, made.bytes, { mode: 0o600 })
    const { mesh_id, member_id, name, created_at } = made.facts
    terminal.print({
      value: {
        path: out,
        bytes: made.bytes.length,
        mesh: slug,
        mesh_id,
        member_id,
        name,
        created_at,
        parts: made.parts,
        unsealed: sealed?.unsealed ?? null,
      },
      render: (value) => [
        `${value.path}: ${formatBytes(value.bytes)}, ${value.name} of mesh ${slug}: ${value.parts.join(', ')}`,
        '  -> claudemesh daemon restore --in <path>, in a home without this mesh',
      ],
    })
    if (withOutbox && !terminal.json) for (const note of notesOnOutbox(sealed)) terminal.note(note)
    if (made.brokerIsLocal && !terminal.json) {
      terminal.note(`the broker of this mesh runs here, and its data is not in the backup: ${environment.brokerData}`)
    }
    if (made.hasSpaces && !terminal.json) {
      terminal.note('decisions are not in the backup: `claudemesh decision push <remote>` makes a copy of all spaces')
    }
    return exitCodes.ok
  },
}

/** Seals what waits: the daemon does when it runs, this process when not. Null: it runs and does not answer. */
async function sealOutbox(invocation: Invocation, slug: string): Promise<FreezeResponse | null> {
  try {
    return await withDaemon(invocation, async (client) => await client.freezeOutbox())
  } catch (error) {
    if (!(error instanceof MeshError) || error.code !== 'daemon_unreachable') throw error
  }
  const { freezeStopped } = await import('@claudemesh/daemon')
  return await freezeStopped({ home: invocation.environment.home, slug })
}

function notesOnOutbox(sealed: FreezeResponse | null): readonly string[] {
  if (sealed === null) return ['the daemon runs and does not answer: what waits in its outbox was copied as it is']
  if (sealed.unsealed === 0) return []
  return [
    `not sealed yet, since their recipients are not known: ${sealed.unsealed}; sent after this backup they end dead where it is restored (sent_after_backup)`,
  ]
}
