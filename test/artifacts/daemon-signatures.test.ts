/** Signatures as a daemon judges them over a real socket, by the revocations that it keeps. */
import { importSigningKeyPair, mergeRevocations, signRevocationList } from '@claudemesh/identity'
import { expect, test } from 'vitest'
import { Members } from '../../apps/daemon/src/members/members.ts'
import { systemRuntime } from '../../apps/daemon/src/runtime.ts'
import { startDaemon } from '../support/daemon-in-process.ts'
import { foundHome, type TestHome } from '../support/home.ts'
import { ArtifactsOf } from './daemon-client.ts'

/** Leaves a list of the mesh's root in the directory of a daemon that is not running. */
function revokeSelf({ meshFile, paths }: TestHome): void {
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

test('what a member has signed is revoked with it', async () => {
  const host = foundHome()
  const before = await startDaemon(host)
  const artifacts = new ArtifactsOf(() => before.daemon.socket)
  const id = await artifacts.newPackage()
  await artifacts.post(`/packages/${id}/finalize`, { allow_empty: true })
  const path = `/packages/${id}/signatures`
  expect((await artifacts.request({ method: 'POST', path })).status).toBe(200)
  const key_id = host.keys.signing.publicKey
  expect((await artifacts.get(path)).json).toEqual({ package_id: id, signatures: [{ key_id, verdict: 'valid' }] })
  await before.close()

  revokeSelf(host)
  const after = await startDaemon(host)
  const answer = await new ArtifactsOf(() => after.daemon.socket).get(path)
  expect(answer.json).toEqual({ package_id: id, signatures: [{ key_id, verdict: 'revoked' }] })
})
