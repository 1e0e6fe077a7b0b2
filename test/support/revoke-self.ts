import { importSigningKeyPair, mergeRevocations, signRevocationList } from '@claudemesh/identity'
import { expect } from 'vitest'
import { Members } from '../../apps/daemon/src/members/members.ts'
import { systemRuntime } from '../../apps/daemon/src/runtime.ts'
import type { TestHome } from './home.ts'

/** Leaves a list of the mesh's root in the directory of a daemon that is not running. */
export function revokeSelf({ meshFile, paths }: TestHome): void {
  const { mesh, memberId, rootSeed } = meshFile
  if (rootSeed === null) throw new Error('the founder has the root key')
  const runtime = systemRuntime()
  const now = runtime.now()
  const changes = { members: [{ member_id: memberId, at: now }] }
  const unsigned = mergeRevocations({ meshId: mesh.mesh_id, previous: null, changes, now })
  const issuer = { signing: importSigningKeyPair(rootSeed), chain: [] }
  const list = signRevocationList({ mesh, list: unsigned, issuer })
  const of = { meshId: mesh.mesh_id, rootKey: mesh.root_key }
  const members = Members.open({ path: paths.membersDatabase, runtime, mesh: of, selfId: memberId })
  expect(members.revocations.apply({ list, chain: [] })).toMatchObject({ kind: 'applied' })
  members.close()
}
