/**
 * A rotation on the disk. It changes two files, `keypair.json` and `meshes/<slug>.json`, that are worth nothing without
 * each other, and may be interrupted at any instant.
 *
 *     1  keypair-archive.json    the old box key is kept; a failure here or in 2 means that nothing was rotated
 *     2  rotation-intent.json    the new keys and chain; from here on the rotation is decided
 *     3  keypair.json            the new keys
 *     4  meshes/<slug>.json      the new chain
 *     5  rotation-intent.json    removed
 *
 * 1. After an interruption before step 2 the member has its old keys, after that its new ones, as soon as
 *    `finishRotation` has run. It runs at every start, before anybody reads the two files.
 * 2. The old box key is in the archive before the new keys are in use, so no message that is on its way is lost.
 * 3. An intent is carried out only on the identity that it was made for.
 *
 * Both functions need the daemon's lock: one writer at a time.
 */
import assert from 'node:assert/strict'
import { readdirSync, rmSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import {
  type Certificate,
  canonicalJson,
  certificateSchema,
  limits,
  type MemberCertificate,
  MeshError,
} from '@claudemesh/protocol'
import { crashPoint, syncDirectory } from '@claudemesh/storage'
import { type Static, Type } from 'typebox'
import { Compile } from 'typebox/compile'
import { archiveKey, boxKeyId, keyGraceDaysDefault, keyGraceDaysMax, openKeyArchive } from './key-archive.ts'
import { exportKeys, importKeys, readKeyFile, writeKeyFile, writtenKeysProperties } from './key-file.ts'
import type { MemberKeys } from './keys.ts'
import { readMeshFile, writeMeshFile } from './mesh-file.ts'
import { readPrivateJson, writePrivateJson } from './private-json-file.ts'
import { rotateMember } from './rotation.ts'

/** The files that a rotation touches. */
export interface RotationPaths {
  /** `keypair.json` */
  readonly keypair: string
  /** `keypair-archive.json` */
  readonly archive: string
  /** `rotation-intent.json` */
  readonly intent: string
  /** `meshes/<slug>.json` */
  readonly mesh: string
}

/** What the member is after a rotation. */
export interface Rotated {
  readonly keys: MemberKeys
  readonly chain: readonly Certificate[]
  /** Where a key archive that could not be used was moved to; null when there was none. */
  readonly quarantined: string | null
}

/**
 * Gives the member new keys: decides the rotation and carries it out. One that was interrupted before is finished first.
 *
 * @param rotation `now` in milliseconds since the epoch; `graceDays`: how long the old box key opens late messages
 * @throws MeshError `rotation_impossible`, `invalid_request` (the grace), `config_invalid`, `unsafe_permissions`; and
 *   `insufficient_storage`, `storage_failed` or an error of the file system. Whatever it throws, the member has its old
 *   keys, or `finishRotation` gives it the new ones
 */
export function beginRotation(
  paths: RotationPaths,
  rotation: { readonly newKeys: MemberKeys; readonly now: number; readonly graceDays?: number },
): Rotated {
  finishRotation(paths)
  const { newKeys, now, graceDays = keyGraceDaysDefault } = rotation
  const keys = readKeyFile(paths.keypair)
  const { chain } = readMeshFile(paths.mesh)
  if (!isAbout(chain, keys)) throw unusable(paths.keypair, `these are not the keys of the chain in ${paths.mesh}`)
  const intent = { keys: newKeys, chain: rotateMember({ chain, keys, newKeys, now }), retiredAt: now, graceDays }
  const quarantined = archiveOldKey(paths, intent, keys)
  crashPoint('identity.rotate.archived')
  writeIntent(paths.intent, intent)
  crashPoint('identity.rotate.intended')
  try {
    carryOut(paths, intent)
  } catch (error) {
    // Not one file has changed yet: better no rotation than one that comes as a surprise at the next start.
    if (isAbout(chain, readKeyFile(paths.keypair))) removeIntent(paths.intent)
    throw error
  }
  return { keys: newKeys, chain: intent.chain, quarantined }
}

/**
 * Completes a rotation that was interrupted, and removes what an interrupted write left behind.
 *
 * @returns what the member is from now on, or null when nothing was pending
 * @throws MeshError `config_invalid` when the intent cannot be used or is of another identity; `unsafe_permissions`,
 *   `insufficient_storage`, `storage_failed` or an error of the file system
 */
export function finishRotation(paths: RotationPaths): Rotated | null {
  for (const path of [paths.keypair, paths.archive, paths.intent]) removeTemporaries(path)
  const intent = readIntent(paths.intent)
  if (intent === null) return null
  const keys = readKeyFile(paths.keypair)
  assertMadeFor(paths, intent, keys)
  const quarantined = isAbout(intent.chain, keys) ? null : archiveOldKey(paths, intent, keys)
  carryOut(paths, intent)
  return { keys: intent.keys, chain: intent.chain, quarantined }
}

/** A rotation that is decided. */
interface Intent {
  readonly keys: MemberKeys
  readonly chain: readonly Certificate[]
  readonly retiredAt: number
  readonly graceDays: number
}

/** Steps 3 to 5. Each of them may have been done before. */
function carryOut(paths: RotationPaths, intent: Intent): void {
  writeKeyFile(paths.keypair, intent.keys)
  crashPoint('identity.rotate.keys_replaced')
  writeMeshFile(paths.mesh, { ...readMeshFile(paths.mesh), chain: intent.chain })
  crashPoint('identity.rotate.mesh_replaced')
  removeIntent(paths.intent)
  crashPoint('identity.rotate.finished')
}

/** Step 1, unless it has been done: repeated, it needs no room on the disk. */
function archiveOldKey(paths: RotationPaths, intent: Intent, keys: MemberKeys): string | null {
  const { retiredAt, graceDays, chain } = intent
  const keyId = boxKeyId(keys.box.publicKey)
  const found = openKeyArchive(paths.archive, { now: retiredAt })
  if (found.keys.some((key) => key.keyId === keyId && key.retiredAt === retiredAt)) return found.quarantined
  const epoch = memberCertificateAt(chain, 1).epoch
  archiveKey(paths.archive, { key: keys.box, epoch, now: retiredAt, graceDays })
  return found.quarantined
}

function assertMadeFor(paths: RotationPaths, intent: Intent, keys: MemberKeys): void {
  const before = intent.chain.slice(1)
  const { chain } = readMeshFile(paths.mesh)
  if (!isAbout(intent.chain, keys) && !isAbout(before, keys)) {
    throw unusable(paths.intent, `it is not about the keys in ${paths.keypair}`)
  }
  if (!isSameChain(chain, intent.chain) && !isSameChain(chain, before)) {
    throw unusable(paths.intent, `it is not about the chain in ${paths.mesh}`)
  }
}

function isAbout(chain: readonly Certificate[], keys: MemberKeys): boolean {
  const { signing_key, box_key } = memberCertificateAt(chain, 0)
  return signing_key === keys.signing.publicKey && box_key === keys.box.publicKey
}

function isSameChain(a: readonly Certificate[], b: readonly Certificate[]): boolean {
  return canonicalJson([...a]) === canonicalJson([...b])
}

function memberCertificateAt(chain: readonly Certificate[], index: number): MemberCertificate {
  const certificate = chain[index]
  assert(certificate?.kind === 'member', 'a rotation stands on the certificate of a member')
  return certificate
}

const schema = Type.Object(
  {
    version: Type.Literal(1),
    keys: Type.Object(writtenKeysProperties, { additionalProperties: false }),
    chain: Type.Array(certificateSchema, { minItems: 2, maxItems: limits.chainLengthMax }),
    retired_at: Type.Integer({ minimum: 0, maximum: limits.timeMax }),
    grace_days: Type.Number({ minimum: 0, maximum: keyGraceDaysMax }),
  },
  { additionalProperties: false },
)
const check = Compile(schema)

function writeIntent(path: string, intent: Intent): void {
  const file: Static<typeof schema> = {
    version: 1,
    keys: exportKeys(intent.keys),
    chain: [...intent.chain],
    retired_at: intent.retiredAt,
    grace_days: intent.graceDays,
  }
  writePrivateJson(path, file)
}

function readIntent(path: string): Intent | null {
  const file = readPrivateJson(path, check)
  if (file === null) return null
  const intent = {
    keys: importKeys(file.keys, path),
    chain: file.chain,
    retiredAt: file.retired_at,
    graceDays: file.grace_days,
  }
  const [next, old] = file.chain
  if (next?.kind === 'member' && old?.kind === 'member' && isAbout(file.chain, intent.keys)) return intent
  throw unusable(path, 'its keys are not those of its chain')
}

function removeIntent(path: string): void {
  rmSync(path, { force: true })
  syncDirectory(dirname(path))
}

/** A kill in the middle of a write leaves a temporary file behind, and in these there are secrets. */
function removeTemporaries(path: string): void {
  const directory = dirname(path)
  const prefix = `.${basename(path)}.`
  for (const name of readdirSync(directory)) {
    if (name.startsWith(prefix) && name.endsWith('.tmp')) rmSync(join(directory, name))
  }
}

function unusable(path: string, fault: string): MeshError {
  return new MeshError('config_invalid', {
    detail: `${path}: ${fault}`,
    hint: 'Restore keypair.json and the file of the mesh from one backup, and remove rotation-intent.json.',
  })
}
