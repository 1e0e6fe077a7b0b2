import type { MeshRecord } from '@claudemesh/protocol'
import type { SigningKeyPair } from './keys.ts'
import { signDocument, verifyDocument } from './signed-document.ts'

const domain = 'claudemesh-mesh-v1'

/** The public facts of a new mesh, signed by its root key. */
export function signMeshRecord(input: {
  readonly meshId: string
  readonly slug: string
  readonly createdAt: number
  readonly root: SigningKeyPair
}): MeshRecord {
  const facts = {
    mesh_id: input.meshId,
    slug: input.slug,
    root_key: input.root.publicKey,
    created_at: input.createdAt,
  }
  return { ...facts, signature: signDocument(domain, facts, input.root) }
}

/** Whether the root key named in the record signed it. That this is the right root key is for the caller to know. */
export function verifyMeshRecord(record: MeshRecord): boolean {
  const { signature, ...facts } = record
  return verifyDocument({ domain, document: facts, publicKey: record.root_key, signature })
}
