/**
 * A new member in the place of the one that this home has: for a home that was copied, or whose member can rotate no
 * more. The other members see somebody new; the former member stays in the mesh until it is revoked, since the home it
 * was copied from goes on being it.
 *
 * 1. What waits in the outbox was accepted in the name of the former member, and the original of a copied home sends
 *    the same rows: it is refused while there are any, or they are dropped when the caller says so. Dropped rows stay
 *    on the list as aborted.
 * 2. Repeated after an interruption it comes to the same end: nothing of the former keys is needed.
 * 3. The former keys leave the disk with their archive.
 */
import { existsSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import {
  acceptHost,
  acceptInvite,
  decodeInviteToken,
  generateMemberKeys,
  importSigningKeyPair,
  type MemberKeys,
  type MeshFile,
  readHostFingerprint,
  readMeshFile,
  signMemberCertificate,
  writeKeyFile,
  writeMeshFile,
} from '@claudemesh/identity'
import {
  type Certificate,
  type DaemonPaths,
  daemonPaths,
  MeshError,
  meshFilePath,
  type Role,
} from '@claudemesh/protocol'
import { crashPoint, FileLock, syncDirectory } from '@claudemesh/storage'
import { acceptBatchMaxDefault, dropPageMax } from '../limits.ts'
import { Outbox } from '../outbox/outbox.ts'
import type { Runtime } from '../runtime.ts'

export interface RemintRequest {
  readonly home: string
  readonly slug: string
  /** Null: the name that it has. */
  readonly name: string | null
  /** Of an invite to the same mesh; null: the root key of this host certifies the new member. */
  readonly token: string | null
  /** Whether what waits in the outbox is dropped. */
  readonly discardOutbox: boolean
  readonly runtime: Runtime
}

export interface Reminted {
  readonly memberId: string
  readonly formerMemberId: string
  readonly name: string
  readonly role: Role
  readonly rowsDropped: number
}

/**
 * @throws MeshError `already_running`, `outbox_not_empty`, `not_admin` without root key and token; `invalid_token`,
 *   `invite_expired`, `invalid_request` for a name that is none; `mesh_not_configured`, `config_invalid`,
 *   `unsafe_permissions` and those of the disk
 */
export function remint(o: RemintRequest): Reminted {
  const paths = daemonPaths(o.home, o.slug)
  const path = meshFilePath(o.home, o.slug)
  const former = readMeshFile(path)
  const lock = FileLock.acquire(paths.lock)
  if (lock === null) {
    throw new MeshError('already_running', {
      detail: 'the daemon is running',
      hint: 'Stop it first: `claudemesh daemon stop`.',
    })
  }
  try {
    const keys = generateMemberKeys()
    const name = o.name ?? former.name
    const chain = certify({ former, name, keys, token: o.token, now: o.runtime.now() })
    const rowsDropped = emptyOutbox(paths, o)
    rmSync(paths.rotationIntent, { force: true })
    writeKeyFile(paths.keypair, keys)
    crashPoint('daemon.remint.keys-written')
    writeMeshFile(path, { ...former, name, memberId: keys.signing.publicKey, chain })
    crashPoint('daemon.remint.mesh-written')
    rmSync(paths.keypairArchive, { force: true })
    syncDirectory(dirname(paths.keypairArchive))
    crashPoint('daemon.remint.archive-removed')
    acceptHost(paths.hostFingerprint, readHostFingerprint({ persisted: paths.hostFingerprint }))
    const role = roleOf(chain)
    return { memberId: keys.signing.publicKey, formerMemberId: former.memberId, name, role, rowsDropped }
  } finally {
    lock.release()
  }
}

function certify(o: {
  readonly former: MeshFile
  readonly name: string
  readonly keys: MemberKeys
  readonly token: string | null
  readonly now: number
}): readonly Certificate[] {
  const { former, name, keys, token, now } = o
  if (token !== null) {
    const invite = decodeInviteToken(token)
    if (invite.mesh.mesh_id !== former.mesh.mesh_id || invite.mesh.root_key !== former.mesh.root_key) {
      throw new MeshError('invalid_token', { detail: `the invite is to another mesh than ${former.mesh.slug}` })
    }
    return acceptInvite({ invite, name, keys, now })
  }
  if (former.rootSeed === null) {
    throw new MeshError('not_admin', {
      detail: 'this host does not keep the root key, with which a new member could be certified',
      hint: 'Ask an admin for an invite (`claudemesh invite create`) and pass it with --token-file.',
    })
  }
  return [
    signMemberCertificate({
      meshId: former.mesh.mesh_id,
      memberId: keys.signing.publicKey,
      name,
      role: roleOf(former.chain),
      keys,
      epoch: 0,
      notBefore: now,
      notAfter: null,
      issuer: importSigningKeyPair(former.rootSeed),
    }),
  ]
}

function roleOf([certificate]: readonly Certificate[]): Role {
  if (certificate === undefined) throw new Error('a chain that was read is not empty')
  return certificate.role
}

/** @returns how many rows were dropped */
function emptyOutbox(paths: DaemonPaths, { discardOutbox, runtime }: RemintRequest): number {
  if (!existsSync(paths.outboxDatabase)) return 0
  const outbox = Outbox.open({ path: paths.outboxDatabase, runtime, acceptBatchMax: acceptBatchMaxDefault })
  try {
    const { pending } = outbox.counts()
    if (pending === 0) return 0
    if (!discardOutbox) {
      throw new MeshError('outbox_not_empty', { detail: `${pending} messages wait to be sent`, data: { pending } })
    }
    let dropped = 0
    for (let rows = nextPending(outbox); rows.length > 0; rows = nextPending(outbox)) {
      for (const { id } of rows) if (outbox.drop({ id, by: 'remint' }).kind === 'dropped') dropped += 1
    }
    return dropped
  } finally {
    outbox.close()
  }
}

function nextPending(outbox: Outbox): readonly { readonly id: string }[] {
  return outbox.list({ status: 'pending', after: null, limit: dropPageMax }) ?? []
}
