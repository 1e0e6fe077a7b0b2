/** Signatures as a daemon judges them over a real socket, by the revocations that it keeps. */
import { expect, test } from 'vitest'
import { startDaemon } from '../support/daemon-in-process.ts'
import { foundHome } from '../support/home.ts'
import { revokeSelf } from '../support/revoke-self.ts'
import { ArtifactsOf } from './daemon-client.ts'

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
