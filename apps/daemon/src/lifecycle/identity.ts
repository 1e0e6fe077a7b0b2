/**
 * Who this daemon is: the mesh file, the keys, and the box keys that were replaced. The three must agree: a daemon with
 * the keys of another member would be refused by every broker and every peer, one by one.
 *
 * 1. A rotation that was interrupted is finished before anything is read.
 * 2. What is in force is what is on the disk: it changes here after it has changed there.
 */
import { existsSync } from 'node:fs'
import {
  type ArchivedKey,
  finishRotation,
  type MemberKeys,
  type MeshFile,
  openKeyArchive,
  pruneKeyArchive,
  type RotationPaths,
  readKeyFile,
  readMeshFile,
  verifyChain,
} from '@claudemesh/identity'
import {
  type Certificate,
  type DaemonPaths,
  type MemberCertificate,
  MeshError,
  meshFilePath,
} from '@claudemesh/protocol'

export interface IdentityFiles {
  readonly home: string
  readonly slug: string
  readonly paths: DaemonPaths
}

/** The files that a rotation changes. */
export function rotationPaths({ home, slug, paths }: IdentityFiles): RotationPaths {
  return {
    keypair: paths.keypair,
    archive: paths.keypairArchive,
    intent: paths.rotationIntent,
    mesh: meshFilePath(home, slug),
  }
}

interface Parts {
  readonly meshFile: MeshFile
  readonly keys: MemberKeys
  readonly archived: readonly ArchivedKey[]
}

/** This host's member, in its current epoch. */
export class OwnIdentity {
  /** The name of the mesh in this home, which may be another one elsewhere. */
  readonly slug: string
  readonly #archivePath: string
  readonly #listeners: (() => void)[] = []
  #parts: Parts
  /** Whether this start had to finish a rotation. */
  readonly rotationFinished: boolean
  /** Where a key archive that could not be used was moved to at this start; null when there was none. */
  readonly quarantined: string | null

  /** @throws MeshError config_invalid | unsafe_permissions | mesh_not_configured */
  static read(o: IdentityFiles & { readonly now: number }): OwnIdentity {
    const finished = finishRotation(rotationPaths(o))
    const parts = readParts(o)
    const archive = openKeyArchive(o.paths.keypairArchive, { now: o.now })
    return new OwnIdentity({
      slug: o.slug,
      parts: { ...parts, archived: archive.keys },
      archivePath: o.paths.keypairArchive,
      rotationFinished: finished !== null,
      quarantined: finished?.quarantined ?? archive.quarantined,
    })
  }

  private constructor(o: {
    readonly slug: string
    readonly parts: Parts
    readonly archivePath: string
    readonly rotationFinished: boolean
    readonly quarantined: string | null
  }) {
    this.slug = o.slug
    this.#parts = o.parts
    this.#archivePath = o.archivePath
    this.rotationFinished = o.rotationFinished
    this.quarantined = o.quarantined
  }

  get meshFile(): MeshFile {
    return this.#parts.meshFile
  }

  get keys(): MemberKeys {
    return this.#parts.keys
  }

  /** Box keys that still open late messages; the one that was replaced last comes first. */
  get archived(): readonly ArchivedKey[] {
    return this.#parts.archived
  }

  /** Null for a member that stays. */
  get ephemeralTtlMs(): number | null {
    return this.#parts.meshFile.ephemeralTtlMs ?? null
  }

  get certificate(): MemberCertificate {
    const [certificate] = this.#parts.meshFile.chain
    if (certificate?.kind !== 'member') throw new Error('a chain that was verified begins with a member')
    return certificate
  }

  /** Called after the keys in force have changed. */
  onChange(listener: () => void): void {
    this.#listeners.push(listener)
  }

  /** Puts into force what a rotation has left on the disk. */
  takeOver(rotated: { readonly keys: MemberKeys; readonly chain: readonly Certificate[] }, now: number): void {
    const { keys: archived } = openKeyArchive(this.#archivePath, { now })
    this.#parts = { meshFile: { ...this.meshFile, chain: rotated.chain }, keys: rotated.keys, archived }
    this.#tell()
  }

  /** Takes replaced keys whose time is over out of use and off the disk. @returns how many */
  pruneArchive(now: number): number {
    const { archived } = this.#parts
    if (archived.every((key) => key.expiresAt > now)) return 0
    const { keys } = pruneKeyArchive(this.#archivePath, { now })
    this.#parts = { ...this.#parts, archived: keys }
    this.#tell()
    return Math.max(0, archived.length - keys.length)
  }

  #tell(): void {
    for (const listener of this.#listeners) listener()
  }
}

function readParts(o: IdentityFiles & { readonly now: number }): { meshFile: MeshFile; keys: MemberKeys } {
  const file = meshFilePath(o.home, o.slug)
  const meshFile = readMeshFile(file)
  if (meshFile.ephemeralTtlMs !== undefined && !existsSync(o.paths.keypair)) {
    throw new MeshError('config_invalid', {
      detail: 'this was an ephemeral member, whose keys ended with its daemon',
      hint: 'Join again with another invite: `claudemesh join`.',
    })
  }
  const keys = readKeyFile(o.paths.keypair)
  const verdict = verifyChain({
    mesh: { mesh_id: meshFile.mesh.mesh_id, root_key: meshFile.mesh.root_key },
    chain: meshFile.chain,
    now: o.now,
  })
  if (!verdict.ok) refuse(`the certificate chain in ${file} does not hold: ${verdict.reason}`)
  if (verdict.member.memberId !== meshFile.memberId) refuse(`member_id in ${file} is not that of its certificate`)
  if (verdict.member.signingKey !== keys.signing.publicKey || verdict.member.boxKey !== keys.box.publicKey) {
    refuse(`the keys in ${o.paths.keypair} are not those of the certificate in ${file}`)
  }
  return { meshFile, keys }
}

function refuse(detail: string): never {
  throw new MeshError('config_invalid', {
    detail,
    hint: 'The two files belong together: restore both from one backup, or join the mesh again with a new invite.',
  })
}
