/**
 * `keypair.json`: the secret keys of this host's member.
 *
 * The public keys stand beside the secrets, for people and as a check: a file whose halves do not belong together is
 * refused instead of making signatures that nobody accepts.
 */
import { MeshError } from '@claudemesh/protocol'
import { type Static, Type } from 'typebox'
import { Compile } from 'typebox/compile'
import { decodeBase64url } from './base64url.ts'
import {
  type BoxKeyPair,
  exportSeed,
  importBoxKeyPair,
  importSigningKeyPair,
  type MemberKeys,
  type SigningKeyPair,
  seedBytes,
} from './keys.ts'
import { readPrivateJson, writePrivateJson } from './private-json-file.ts'

const publicKey = Type.String({ pattern: '^[0-9a-f]{64}$' })
const secret = Type.String({ pattern: '^[A-Za-z0-9_-]{43}$' })

/** The members of a private document that hold the keys of one epoch. */
export const writtenKeysProperties = {
  signing_key: publicKey,
  signing_secret: secret,
  box_key: publicKey,
  box_secret: secret,
}
const writtenKeysSchema = Type.Object(writtenKeysProperties)
export type WrittenKeys = Static<typeof writtenKeysSchema>

const check = Compile(
  Type.Object({ version: Type.Literal(1), ...writtenKeysProperties }, { additionalProperties: false }),
)

/** @throws MeshError `unsafe_permissions` when the directory is not private */
export function writeKeyFile(path: string, keys: MemberKeys): void {
  writePrivateJson(path, { version: 1, ...exportKeys(keys) })
}

/** @throws MeshError `unsafe_permissions`, or `config_invalid` when the file is missing or cannot be used */
export function readKeyFile(path: string): MemberKeys {
  const file = readPrivateJson(path, check)
  if (file === null) {
    throw new MeshError('config_invalid', {
      detail: `${path} is missing: this host has lost the keys of its member`,
      hint: 'Restore the file from a backup, or join the mesh again with a new invite.',
    })
  }
  return importKeys(file, path)
}

/** Keys as they stand in a private document. */
export function exportKeys(keys: MemberKeys): WrittenKeys {
  return {
    signing_key: keys.signing.publicKey,
    signing_secret: exportSeed(keys.signing).toString('base64url'),
    box_key: keys.box.publicKey,
    box_secret: exportSeed(keys.box).toString('base64url'),
  }
}

/**
 * @param path the file that the keys were read from, for the refusal
 * @throws MeshError `config_invalid` when a secret does not belong to its public key
 */
export function importKeys(written: WrittenKeys, path: string): MemberKeys {
  return {
    signing: importPair(importSigningKeyPair, written.signing_secret, { publicKey: written.signing_key, path }),
    box: importPair(importBoxKeyPair, written.box_secret, { publicKey: written.box_key, path }),
  }
}

function importPair<P extends SigningKeyPair | BoxKeyPair>(
  importSeed: (seed: Uint8Array) => P,
  text: string,
  expected: { publicKey: string; path: string },
): P {
  const seed = decodeBase64url(text, seedBytes)
  const pair = seed === null ? null : importSeed(seed)
  if (pair?.publicKey === expected.publicKey) return pair
  throw new MeshError('config_invalid', { detail: `${expected.path}: a secret does not belong to its public key` })
}
