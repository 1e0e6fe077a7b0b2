/**
 * `$files` (06 §17): what a sealed message says of a file or package that is shared with it. It carries the key of the
 * ciphertext, so it is nowhere but inside sealed messages and where these are kept.
 */
import { type Static, Type } from 'typebox'
import type { JsonObject } from './canonical-json.ts'
import { compileLater } from './compile-later.ts'
import { ulidPattern } from './ids.ts'
import { timeMax } from './limits.ts'

const closed = { additionalProperties: false }
const contentAddress = Type.String({ pattern: '^(blake3|sha256):[0-9a-f]{64}$' })
const sizeBytes = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })
/** A sealed blob as the relay has it. */
const blob = { address: contentAddress, size_bytes: sizeBytes }

const sharedFilesSchema = Type.Object(
  {
    v: Type.Literal(1),
    share_id: Type.String({ pattern: ulidPattern }),
    name: Type.String({ minLength: 1, maxLength: 255 }),
    media_type: Type.String({ minLength: 3, maxLength: 255 }),
    /** Of the file, or of all files of the package together. */
    size_bytes: sizeBytes,
    /** Of the file, or of the package's manifest. */
    content_address: contentAddress,
    sha256: Type.String({ pattern: '^[0-9a-f]{64}$' }),
    enc: Type.Object(
      {
        alg: Type.Literal('age-stream-v1'),
        /** 32 bytes, base64url without padding. */
        key: Type.String({ pattern: '^[A-Za-z0-9_-]{43}$' }),
        ...blob,
        /** Of a package: what its contents became. */
        contents: Type.Optional(Type.Object(blob, closed)),
      },
      closed,
    ),
    manifest_digest: Type.Optional(contentAddress),
    expires_at: Type.Optional(Type.Integer({ minimum: 0, maximum: timeMax })),
  },
  closed,
)
export type SharedFiles = Static<typeof sharedFilesSchema>

/** The reserved member of meta. */
export const sharedFilesMember = '$files'

const validator = compileLater(sharedFilesSchema)

/** @returns null for meta that offers nothing, or nothing of this version */
export function readSharedFiles(meta: JsonObject | null): SharedFiles | null {
  const offered: unknown = meta?.[sharedFilesMember]
  if (!validator().Check(offered)) return null
  const files = offered as SharedFiles
  const isPackage = files.manifest_digest !== undefined
  return isPackage === (files.enc.contents !== undefined) ? files : null
}

/** Meta as it may be shown: what it offers without the key of it. */
export function withoutShareKey(meta: JsonObject): JsonObject {
  const offered: unknown = meta[sharedFilesMember]
  if (offered === undefined) return meta
  const files = readSharedFiles(meta)
  // Of a form that is not known here nobody can say what in it is a key.
  if (files === null) return { ...meta, [sharedFilesMember]: null }
  const { key: _, ...enc } = files.enc
  return { ...meta, [sharedFilesMember]: { ...files, enc } as unknown as JsonObject }
}
