/** Part of the composition root: what can be done to this host's identity and to the mesh's members. */
import { type ArchivedKey, countRotations, importSigningKeyPair } from '@claudemesh/identity'
import { limits, MeshError } from '@claudemesh/protocol'
import type { Health } from '../health.ts'
import type { IdentityOperations } from '../ipc/routes/identity.ts'
import type { CheckedHost } from '../lifecycle/host-fingerprint.ts'
import { type IdentityFiles, rotationPaths } from '../lifecycle/identity.ts'
import type { LocalToken } from '../lifecycle/local-token.ts'
import type { Stores } from '../lifecycle/open-stores.ts'
import type { DaemonLog } from '../log.ts'
import { type Issuer, Revoker } from '../operate/revoke.ts'
import { rotateKeypair } from '../operate/rotate-keypair.ts'
import type { Runtime } from '../runtime.ts'
import type { Verbs } from './verbs.ts'

export interface IdentityParts {
  readonly files: IdentityFiles
  readonly stores: Stores
  readonly verbs: Verbs
  readonly token: LocalToken
  readonly host: CheckedHost
  readonly raised: Health
  readonly runtime: Runtime
  readonly log: DaemonLog
}

export function composeIdentity(parts: IdentityParts): IdentityOperations {
  const { files, stores, verbs, token, raised, runtime, log } = parts
  const { identity, members } = stores
  const { directory, link } = verbs
  const revoker = new Revoker({
    mesh: identity.meshFile.mesh,
    issuer: () => issuerOf(stores),
    members,
    refreshRevocations: directory.refreshRevocations,
    refreshDirectory: directory.refresh,
    request: (op, params) => link.request(op, params),
    runtime,
    log: log.directory,
  })
  return {
    identity: () => describeIdentity(parts),
    rotateKeypair() {
      if (identity.ephemeralTtlMs !== null) {
        throw new MeshError('rotation_impossible', {
          detail: 'the keys of an ephemeral member are in memory only and last as long as its daemon',
          hint: 'Restart it with another invite to have new ones.',
        })
      }
      const { quarantined } = rotateKeypair({
        paths: rotationPaths(files),
        takeOver: (rotated, now) => identity.takeOver(rotated, now),
        renewLink: () => link.renew(),
        runtime,
        log: log.lifecycle,
      })
      if (quarantined !== null) raised.raise('key_archive_quarantined', `the old one is ${quarantined}`)
      const { member_id, epoch, signing_key, box_key } = identity.certificate
      return { member_id, epoch, signing_key, box_key, archived_keys: identity.archived.map(toView), quarantined }
    },
    rotateToken() {
      const { previousExpiresAt } = token.rotate()
      log.lifecycle.info('local_token_rotated')
      return { path: token.path, previous_expires_at: previousExpiresAt }
    },
    revokeMember: (member, { reason }) => revoker.revokeMember(member, reason ?? null),
    revokeInvite: (inviteId) => revoker.revokeInvite(inviteId),
  }
}

/** The root key where it is at hand: what it signs holds also when this admin is revoked one day. */
function issuerOf({ identity }: Stores): Issuer {
  const { rootSeed, chain } = identity.meshFile
  if (rootSeed !== null) return { signing: importSigningKeyPair(rootSeed), chain: [] }
  return { signing: identity.keys.signing, chain }
}

function describeIdentity({ stores, verbs, host }: IdentityParts) {
  const { identity, members } = stores
  const { meshFile, certificate } = identity
  return {
    mesh_id: meshFile.mesh.mesh_id,
    member_id: meshFile.memberId,
    name: certificate.name,
    role: certificate.role,
    epoch: certificate.epoch,
    signing_key: certificate.signing_key,
    box_key: certificate.box_key,
    chain_length: meshFile.chain.length,
    rotations_left: limits.chainRotationsMax - countRotations(meshFile.chain),
    archived_keys: identity.archived.map(toView),
    owner: meshFile.rootSeed !== null,
    ephemeral: identity.ephemeralTtlMs !== null,
    host: { fingerprint: host.fingerprint, basis: host.basis, accepted: host.isAccepted },
    conflict: verbs.link.status().conflict,
    revocations: members.revocations.newest?.list.number ?? null,
  }
}

function toView({ keyId, epoch, expiresAt }: ArchivedKey) {
  return { key_id: keyId, epoch, expires_at: expiresAt }
}
