/**
 * `keypair-archive.json`: the box keys that were replaced, for messages that were sealed to them and come late (05 §5).
 *
 * 1. A key is kept for a grace of 7 days, at most 30, and never more than 8 of them. Then its secret leaves the disk:
 *    what was sealed to it can no longer be opened by anybody, which is the point of having replaced it.
 * 2. `archiveKey` returns when the key is on the disk for good, or throws and has changed nothing.
 * 3. A file that cannot be used as a whole is not used in part. It is moved aside with everything in it, the archive
 *    begins anew, and whoever asked is told where the old one went.
 *
 * It holds no signing keys: what an old one signed is verified with its public half, which stands in the chain.
 */
import { createHash } from 'node:crypto'
import { existsSync, renameSync } from 'node:fs'
import { dirname } from 'node:path'
import { MeshError } from '@claudemesh/protocol'
import { syncDirectory } from '@claudemesh/storage'
import { type Static, Type } from 'typebox'
import { Compile } from 'typebox/compile'
import { decodeBase64url } from './base64url.ts'
import { type BoxKeyPair, exportSeed, importBoxKeyPair, seedBytes } from './keys.ts'
import { readPrivateJson, writePrivateJson } from './private-json-file.ts'

const archivedKeysMax = 8
export const keyGraceDaysDefault = 7
export const keyGraceDaysMax = 30

/** A box key that is no longer the member's current one. Times are in milliseconds since the epoch. */
export interface ArchivedKey {
  /** As `boxKeyId` gives it. */
  readonly keyId: string
  /** The epoch of the member in which it was current. */
  readonly epoch: number
  readonly box: BoxKeyPair
  readonly retiredAt: number
  /** From here on nothing is opened with it any more. */
  readonly expiresAt: number
}

export interface KeyArchive {
  /** The key that was retired last comes first. */
  readonly keys: readonly ArchivedKey[]
  /** Where an archive that could not be used was moved to; null when there was none. */
  readonly quarantined: string | null
}

/** The name of a box key on the wire: the first 16 bytes of the SHA-256 of its public half, in hex. */
export function boxKeyId(publicKey: string): string {
  return createHash('sha256').update(Buffer.from(publicKey, 'hex')).digest('hex').slice(0, 32)
}

/**
 * The keys that late messages may still be opened with.
 *
 * @throws MeshError `unsafe_permissions`
 */
export function openKeyArchive(path: string, options: { readonly now: number }): KeyArchive {
  const { keys, quarantined } = readArchive(path, options.now)
  return { keys: keys.filter((key) => key.expiresAt > options.now), quarantined }
}

/**
 * Puts a box key into the archive, before the one that replaces it is put into use. A key that is there already is
 * retired anew.
 *
 * @param retirement `graceDays`: how long it still opens messages, 0 to 30; with 0 it is not kept at all
 * @throws MeshError `invalid_request` when the grace is out of bounds; `unsafe_permissions`, `insufficient_storage`,
 *   `storage_failed` or an error of the file system when the key could not be kept: the rotation must not go on
 */
export function archiveKey(
  path: string,
  retirement: {
    readonly key: BoxKeyPair
    readonly epoch: number
    readonly now: number
    readonly graceDays?: number
  },
): KeyArchive {
  const { key, epoch, now, graceDays = keyGraceDaysDefault } = retirement
  assertGrace(graceDays)
  const retired: ArchivedKey = {
    keyId: boxKeyId(key.publicKey),
    epoch,
    box: key,
    retiredAt: now,
    expiresAt: now + Math.floor(graceDays * dayMs),
  }
  const { keys, quarantined } = openKeyArchive(path, { now })
  const others = keys.filter(({ keyId }) => keyId !== retired.keyId)
  const kept = (graceDays > 0 ? [retired, ...others] : others).slice(0, archivedKeysMax)
  writeArchive(path, kept)
  return { keys: kept, quarantined }
}

/**
 * Takes keys whose time has passed off the disk.
 *
 * @returns what remains
 * @throws as `archiveKey` does
 */
export function pruneKeyArchive(path: string, options: { readonly now: number }): KeyArchive {
  const { keys, quarantined } = readArchive(path, options.now)
  const kept = keys.filter((key) => key.expiresAt > options.now)
  if (kept.length < keys.length) writeArchive(path, kept)
  return { keys: kept, quarantined }
}

const dayMs = 86_400_000

const timestamp = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })
const schema = Type.Object(
  {
    version: Type.Literal(1),
    keys: Type.Array(
      Type.Object(
        {
          key_id: Type.String({ pattern: '^[0-9a-f]{32}$' }),
          epoch: Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }),
          box_key: Type.String({ pattern: '^[0-9a-f]{64}$' }),
          box_secret: Type.String({ pattern: '^[A-Za-z0-9_-]{43}$' }),
          retired_at: timestamp,
          expires_at: timestamp,
        },
        { additionalProperties: false },
      ),
      { maxItems: archivedKeysMax },
    ),
  },
  { additionalProperties: false },
)
const check = Compile(schema)
type ArchiveFile = Static<typeof schema>

function assertGrace(graceDays: number): void {
  if (graceDays >= 0 && graceDays <= keyGraceDaysMax) return
  throw new MeshError('invalid_request', {
    detail: `a replaced key can be kept for 0 to ${keyGraceDaysMax} days`,
    data: { field: 'grace_days' },
  })
}

function writeArchive(path: string, keys: readonly ArchivedKey[]): void {
  const file: ArchiveFile = {
    version: 1,
    keys: keys.map((key) => ({
      key_id: key.keyId,
      epoch: key.epoch,
      box_key: key.box.publicKey,
      box_secret: exportSeed(key.box).toString('base64url'),
      retired_at: key.retiredAt,
      expires_at: key.expiresAt,
    })),
  }
  writePrivateJson(path, file)
}

function readArchive(path: string, now: number): KeyArchive {
  const file = readArchiveFile(path)
  if (file === 'missing') return { keys: [], quarantined: null }
  const keys = file === 'malformed' ? null : importKeys(file)
  return keys === null ? { keys: [], quarantined: moveAside(path, now) } : { keys, quarantined: null }
}

function readArchiveFile(path: string): ArchiveFile | 'missing' | 'malformed' {
  try {
    return readPrivateJson(path, check) ?? 'missing'
  } catch (error) {
    if (error instanceof MeshError && error.code === 'config_invalid') return 'malformed'
    throw error
  }
}

/** @returns null when any entry is not what it says, or two have one name */
function importKeys(file: ArchiveFile): ArchivedKey[] | null {
  const keys = new Map<string, ArchivedKey>()
  for (const entry of file.keys) {
    const key = importKey(entry)
    if (key === null || keys.has(key.keyId)) return null
    keys.set(key.keyId, key)
  }
  return [...keys.values()]
}

function importKey(entry: ArchiveFile['keys'][number]): ArchivedKey | null {
  const graceMs = entry.expires_at - entry.retired_at
  if (graceMs < 0 || graceMs > keyGraceDaysMax * dayMs) return null
  const seed = decodeBase64url(entry.box_secret, seedBytes)
  const box = seed === null ? null : importBoxKeyPair(seed)
  if (box === null || box.publicKey !== entry.box_key || boxKeyId(box.publicKey) !== entry.key_id) return null
  return {
    keyId: entry.key_id,
    epoch: entry.epoch,
    box,
    retiredAt: entry.retired_at,
    expiresAt: entry.expires_at,
  }
}

function moveAside(path: string, now: number): string {
  const target = unusedName(path, now)
  renameSync(path, target)
  syncDirectory(dirname(path))
  return target
}

function unusedName(path: string, now: number): string {
  for (let time = now; ; time += 1) {
    const name = `${path}.malformed-${new Date(time).toISOString().replaceAll(/[-:.]/g, '')}`
    if (!existsSync(name)) return name
  }
}
