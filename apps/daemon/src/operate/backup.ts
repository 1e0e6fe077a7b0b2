/**
 * A member as one sealed file (03 §5): identity, configuration, subscriptions and, when asked for, the outbox.
 *
 * 1. It is consistent although the daemon runs: each database as of one instant, the identity's files as of one instant
 *    of which a start could make the member (an interrupted rotation goes with its intent).
 * 2. Nothing of it touches the disk in plain text.
 * 3. The outbox is read last: a row that is in it belongs to the identity that is in the backup. What waited in it was
 *    sealed before, by who calls this, so that a restored row is the very one that may have been sent since.
 *
 * It holds no inbox (the broker's history fills one again), no decisions (a push copies them), no history but how far its seqs
 * were given, of sinks only which there are and whether they are paused, no local token, and not the host: a backup is made to
 * be restored elsewhere.
 */
import { existsSync, readFileSync } from 'node:fs'
import { readMeshFile } from '@claudemesh/identity'
import { daemonPaths, MeshError, meshFilePath } from '@claudemesh/protocol'
import { sealWithPassphrase } from '@claudemesh/sealing'
import { snapshotSinks } from '@claudemesh/sinks/state'
import { snapshotDatabase } from '@claudemesh/storage'
import { backupReadsMax } from '../limits.ts'
import { type BackupFacts, type PartName, packBackup, partPath } from './backup-file.ts'

export interface BackupRequest {
  readonly home: string
  /** Of the mesh. */
  readonly slug: string
  readonly withOutbox: boolean
  readonly passphrase: string
  /** Milliseconds since the epoch. */
  readonly now: number
}

export interface MadeBackup {
  /** The sealed file. */
  readonly bytes: Buffer
  readonly facts: BackupFacts
  readonly parts: readonly PartName[]
  /** The mesh's broker runs on this host, and its data is not in the backup. */
  readonly brokerIsLocal: boolean
  /** There are decisions below the daemon's directory, and they are not in the backup. */
  readonly hasSpaces: boolean
}

/**
 * @throws MeshError `mesh_not_configured`, `config_invalid`, `unsafe_permissions`, `database_corrupt`, `storage_failed`,
 *   `invalid_request` when the passphrase is empty
 */
export async function backUp(o: BackupRequest): Promise<MadeBackup> {
  const { home, slug, withOutbox, passphrase, now } = o
  const place = { home, slug, paths: daemonPaths(home, slug) }
  const { mesh, memberId, name, broker, ephemeralTtlMs } = readMeshFile(meshFilePath(home, slug))
  if (ephemeralTtlMs !== undefined) {
    throw new MeshError('invalid_request', {
      detail: 'an ephemeral member lasts as long as its daemon, and leaves nothing to be restored',
      hint: 'Join with --persistent to have a member that can be backed up.',
    })
  }
  const parts = new Map<PartName, Buffer>(readIdentityFiles((part) => partPath(part, place)))
  if (!parts.has('keypair')) throw new MeshError('config_invalid', { detail: `there is no ${place.paths.keypair}` })
  for (const part of ['home-config', 'daemon-config', 'invites', 'history-seqs'] as const) {
    const path = partPath(part, place)
    if (existsSync(path)) parts.set(part, readFileSync(path))
  }
  const sinks = snapshotSinks(place.paths.sinks)
  if (sinks !== null) parts.set('sinks', sinks)
  for (const part of withOutbox ? (['members', 'outbox'] as const) : (['members'] as const)) {
    const image = snapshotDatabase(partPath(part, place))
    if (image !== null) parts.set(part, image)
  }
  const facts = { slug, mesh_id: mesh.mesh_id, member_id: memberId, name, created_at: now }
  const bytes = await sealWithPassphrase(packBackup({ facts, parts }), passphrase)
  return {
    bytes,
    facts,
    parts: [...parts.keys()],
    brokerIsLocal: broker.local,
    hasSpaces: existsSync(place.paths.spacesRepository),
  }
}

const identityParts = ['keypair', 'keypair-archive', 'rotation-intent', 'mesh'] as const

/** Reads the files that a rotation replaces one after the other, until twice the same was read. */
function readIdentityFiles(pathOf: (part: PartName) => string): Map<PartName, Buffer> {
  let before = readAll(pathOf)
  for (let reads = 1; reads < backupReadsMax; reads += 1) {
    const again = readAll(pathOf)
    if (isSame(before, again)) return again
    before = again
  }
  throw new MeshError('storage_failed', {
    detail: 'the files of the identity change all the time',
    hint: 'Wait until the rotation is over, and run the command again.',
  })
}

function readAll(pathOf: (part: PartName) => string): Map<PartName, Buffer> {
  const found = new Map<PartName, Buffer>()
  for (const part of identityParts) {
    const path = pathOf(part)
    if (existsSync(path)) found.set(part, readFileSync(path))
  }
  return found
}

function isSame(one: ReadonlyMap<PartName, Buffer>, other: ReadonlyMap<PartName, Buffer>): boolean {
  return one.size === other.size && [...one].every(([part, bytes]) => other.get(part)?.equals(bytes) === true)
}
