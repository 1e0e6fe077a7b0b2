import type { Certificate } from '@claudemesh/protocol'
import type { CommandDefinition } from '../../command.ts'
import { startCommand } from '../../connection.ts'
import { exitCodes } from '../../exit-codes.ts'
import { selectMesh } from '../../mesh-selection.ts'
import { formatTime } from '../../output/quantity.ts'
import { daemonPaths, MeshError, meshFilePath } from '../../protocol.ts'

const usesMax = 10_000
const lifeMsDefault = 7 * 24 * 3_600_000

export const command: CommandDefinition = {
  summary: 'Print a token that lets others join the mesh',
  options: [
    { syntax: '--uses <n>', describe: `how many members may join with it, 1 to ${usesMax}; default 1` },
    { syntax: '--expires <duration>', describe: 'for how long it can be used, such as 12h or 30d; default 7d' },
    { syntax: '--role <role>', describe: 'member or admin; default member' },
  ],
  examples: [
    { line: 'claudemesh invite create', describe: 'a token for one member, good for seven days' },
    { line: 'claudemesh invite create --uses 5 --expires 1d > team.token', describe: 'for five members, into a file' },
  ],

  async run({ flags, mesh, environment, terminal }) {
    const { createInvite, readKeyFile, readMeshFile } = await import('@claudemesh/identity')
    const { createIdSource } = await import('@claudemesh/protocol')
    const { recordInvite } = await import('../../invite-ledger.ts')
    const { home } = environment
    const slug = selectMesh({ environment, mesh })
    const uses = flags.integer('uses', { min: 1, max: usesMax }) ?? 1
    const role = flags.choice('role', ['member', 'admin']) ?? 'member'
    const lifeMs = flags.duration('expires') ?? lifeMsDefault

    const file = readMeshFile(meshFilePath(home, slug))
    const keys = readKeyFile(daemonPaths(home, slug).keypair)
    assertBelongTogether(file.chain[0], { signingKey: keys.signing.publicKey, mesh: slug })
    const now = Date.now()
    const { token, certificate } = createInvite({
      mesh: file.mesh,
      brokerUrl: file.broker.url,
      issuer: { signing: keys.signing, chain: file.chain },
      inviteId: createIdSource(Date.now)(),
      role,
      uses,
      notBefore: now,
      notAfter: now + lifeMs,
    })
    const invite = recordInvite({ home, mesh: slug }, certificate)
    terminal.print({
      value: { token, ...invite, mesh: slug, broker_url: file.broker.url },
      // The token alone is data; what is said about it goes to the person.
      render: () => [token],
    })
    if (!terminal.json) for (const note of notesOn(invite, file.broker.url)) terminal.note(note)
    return exitCodes.ok
  },
}

/** The two files are replaced one after the other when keys are rotated. */
function assertBelongTogether(
  certificate: Certificate | undefined,
  o: { readonly signingKey: string; readonly mesh: string },
): void {
  if (certificate?.kind === 'member' && certificate.signing_key === o.signingKey) return
  throw new MeshError('config_invalid', {
    detail: 'the keys of this member are being replaced',
    hint: `Run the command again. If a rotation was interrupted, the next start finishes it: \`${startCommand(o.mesh)}\`.`,
  })
}

function notesOn(invite: { uses: number; role: string; expires_at: number }, brokerUrl: string): readonly string[] {
  const who = invite.uses === 1 ? `one ${invite.role}` : `${invite.uses} members as ${invite.role}`
  const loopback = /^(127\.|localhost$|\[::1\]$)/.test(new URL(brokerUrl).hostname)
  return [
    `lets ${who} join until ${formatTime(invite.expires_at)}; whoever has it can use it`,
    ...(loopback ? [`its broker is ${brokerUrl}: it works on this host only`] : []),
    '  -> there: claudemesh join <token> --name <name>',
  ]
}
