/**
 * `meshes/<slug>.json`: what this host knows of one mesh and of its own place in it (03 §1). The root's secret is in it
 * only on the host that made the mesh.
 */
import {
  type Certificate,
  certificateSchema,
  limits,
  MeshError,
  type MeshRecord,
  memberIdPattern,
  memberNamePattern,
  meshRecordSchema,
} from '@claudemesh/protocol'
import { type Static, Type } from 'typebox'
import { Compile } from 'typebox/compile'
import { decodeBase64url } from './base64url.ts'
import { originOf } from './hello.ts'
import { importSigningKeyPair, seedBytes } from './keys.ts'
import { verifyMeshRecord } from './mesh-record.ts'
import { readPrivateJson, writePrivateJson } from './private-json-file.ts'

export interface MeshFile {
  readonly mesh: MeshRecord
  /** Secret of the root key; null on every host but the owner's. */
  readonly rootSeed: Uint8Array | null
  readonly broker: {
    readonly url: string
    /** True: this host runs the broker itself, and starts it when it is needed. */
    readonly local: boolean
  }
  /** Name of this host's member. */
  readonly name: string
  readonly memberId: string
  /** Chain of this host's member, the current certificate first. */
  readonly chain: readonly Certificate[]
  /** For a member that lasts as long as its daemon: after how long without a connection the broker removes it. */
  readonly ephemeralTtlMs?: number
}

const schema = Type.Object(
  {
    version: Type.Literal(1),
    mesh: meshRecordSchema,
    root_seed: Type.Union([Type.String({ pattern: '^[A-Za-z0-9_-]{43}$' }), Type.Null()]),
    broker: Type.Object(
      { url: Type.String({ maxLength: 512 }), local: Type.Boolean() },
      { additionalProperties: false },
    ),
    name: Type.String({ pattern: memberNamePattern }),
    member_id: Type.String({ pattern: memberIdPattern }),
    chain: Type.Array(certificateSchema, { minItems: 1, maxItems: limits.chainLengthMax }),
    ephemeral_ttl_ms: Type.Optional(Type.Integer({ minimum: 1, maximum: limits.timeMax })),
  },
  { additionalProperties: false },
)
const check = Compile(schema)

/** @throws MeshError `unsafe_permissions` when the directory is not private */
export function writeMeshFile(path: string, file: MeshFile): void {
  const document: Static<typeof schema> = {
    version: 1,
    mesh: file.mesh,
    root_seed: file.rootSeed === null ? null : Buffer.from(file.rootSeed).toString('base64url'),
    broker: { url: file.broker.url, local: file.broker.local },
    name: file.name,
    member_id: file.memberId,
    chain: [...file.chain],
    ...(file.ephemeralTtlMs === undefined ? {} : { ephemeral_ttl_ms: file.ephemeralTtlMs }),
  }
  writePrivateJson(path, document)
}

/**
 * Reads and checks the file. Whether the chain still holds at this time is `verifyChain`'s to say.
 *
 * @throws MeshError `mesh_not_configured` when there is no such file, `unsafe_permissions`, or `config_invalid`
 */
export function readMeshFile(path: string): MeshFile {
  const file = readPrivateJson(path, check)
  if (file === null) throw new MeshError('mesh_not_configured', { detail: `there is no ${path}` })
  originOf(file.broker.url)
  if (!verifyMeshRecord(file.mesh)) throw unusable(path, 'the root key did not sign the mesh record')
  const [certificate] = file.chain
  if (certificate?.kind !== 'member' || certificate.member_id !== file.member_id) {
    throw unusable(path, 'the chain is not that of the member')
  }
  return {
    mesh: file.mesh,
    rootSeed: file.root_seed === null ? null : readRootSeed(path, file.root_seed, file.mesh.root_key),
    broker: file.broker,
    name: file.name,
    memberId: file.member_id,
    chain: file.chain,
    ...(file.ephemeral_ttl_ms === undefined ? {} : { ephemeralTtlMs: file.ephemeral_ttl_ms }),
  }
}

function readRootSeed(path: string, text: string, rootKey: string): Uint8Array {
  const seed = decodeBase64url(text, seedBytes)
  if (seed !== null && importSigningKeyPair(seed).publicKey === rootKey) return seed
  throw unusable(path, 'root_seed does not belong to the root key')
}

function unusable(path: string, fault: string): MeshError {
  return new MeshError('config_invalid', { detail: `${path}: ${fault}` })
}
