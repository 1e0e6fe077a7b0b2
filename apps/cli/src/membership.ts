/** Who this host is in a mesh, from the files of its home: it is known also when no daemon runs. */
import { MeshError, meshFilePath } from './protocol.ts'

export interface Membership {
  readonly mesh: string
  readonly mesh_id: string
  readonly name: string
  readonly member_id: string
  readonly role: string
  readonly broker_url: string
  readonly broker_local: boolean
  readonly root_key: string
  /** Whether this host keeps the secret of the root key. */
  readonly owner: boolean
  /** Milliseconds since the epoch. */
  readonly created_at: number
}

/** @throws MeshError mesh_not_configured, config_invalid, unsafe_permissions */
export async function readMembership(o: { readonly home: string; readonly mesh: string }): Promise<Membership> {
  const { readMeshFile } = await import('@claudemesh/identity')
  const file = readMeshFile(meshFilePath(o.home, o.mesh))
  const [certificate] = file.chain
  if (certificate?.kind !== 'member')
    throw new MeshError('config_invalid', { detail: 'the chain begins with no member' })
  return {
    mesh: o.mesh,
    mesh_id: file.mesh.mesh_id,
    name: file.name,
    member_id: file.memberId,
    role: certificate.role,
    broker_url: file.broker.url,
    broker_local: file.broker.local,
    root_key: file.mesh.root_key,
    owner: file.rootSeed !== null,
    created_at: file.mesh.created_at,
  }
}
