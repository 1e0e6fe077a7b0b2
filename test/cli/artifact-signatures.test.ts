/** Signatures of packages by the command line and over the socket: whose key signed, and whether that counts. */
import {
  decodeCanonical,
  decodeEnvelope,
  manifestMediaType,
  openRegistry,
  verifyManifestEnvelope,
} from '@claudemesh/artifacts'
import { generateSigningKeyPair, type SigningKeyPair } from '@claudemesh/identity'
import { daemonPaths } from '@claudemesh/protocol'
import type { JudgedSignatures, ShownPackage, SignedArtifactPackage } from '@claudemesh/protocol/artifacts'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ArtifactsOf } from '../artifacts/daemon-client.ts'
import { CommandLine, type DaemonStarted, killIfThere } from './command-line.ts'

const line = new CommandLine(afterAll)
const overSocket = new ArtifactsOf(() => socket)
let socket = ''

beforeAll(() => {
  line.json(['init', '--broker', 'ws://127.0.0.1:9'])
  const started = line.json<DaemonStarted>(['daemon', 'start'])
  socket = started.socket
  return () => killIfThere(started.pid)
}, 60_000)

function artifact<Answer>(...args: readonly string[]): Answer {
  return line.json<Answer>(['artifact', ...args])
}

function finalized(): string {
  const { package_id: id } = artifact<ShownPackage>('create', 'report')
  artifact('finalize', id, '--allow-empty')
  return id
}

/** What `verify-signature` says and exits with. */
function verify(id: string) {
  const { status, stdout } = line.run(['artifact', 'verify-signature', id, '--json'])
  return { status, verdicts: (JSON.parse(stdout) as JudgedSignatures).signatures }
}

/** Signs as whoever else has written into the same store. */
async function signAs(keys: SigningKeyPair, packageId: string): Promise<void> {
  const { artifactsDatabase, artifactsObjects } = daemonPaths(line.home, 'home')
  const registry = await openRegistry({ databaseUrl: `sqlite:${artifactsDatabase}`, storageRoot: artifactsObjects })
  await registry.sign(packageId, { keys, actor: 'somebody' })
  await registry.close()
}

test('a package is signed once by a key, and that is valid', () => {
  const id = finalized()
  expect(verify(id)).toEqual({ status: 65, verdicts: [] })
  expect(line.run(['artifact', 'verify-signature', id]).stdout).toBe('not signed\n')
  const signed = artifact<SignedArtifactPackage>('sign', id)
  const { manifest_digest } = artifact<ShownPackage>('show', id)
  const key_id = expect.stringMatching(/^[0-9a-f]{64}$/)
  expect(signed).toEqual({ package_id: id, manifest_digest, key_id, is_new: true })
  expect(artifact('sign', id)).toEqual({ ...signed, is_new: false })
  expect(verify(id)).toEqual({ status: 0, verdicts: [{ key_id: signed.key_id, verdict: 'valid' }] })
  const { status, stdout } = line.run(['artifact', 'verify-signature', id])
  expect([status, stdout]).toEqual([0, expect.stringContaining(`valid    ${signed.key_id}`)])
})

test('what was signed before a rotation stays valid, and the new key signs beside it', () => {
  const id = finalized()
  const before = artifact<SignedArtifactPackage>('sign', id)
  line.json(['daemon', 'rotate-keypair'])
  const after = artifact<SignedArtifactPackage>('sign', id)
  expect(after).toMatchObject({ is_new: true, manifest_digest: before.manifest_digest })
  const keys = [before.key_id, after.key_id].sort()
  expect(verify(id)).toEqual({ status: 0, verdicts: keys.map((key_id) => ({ key_id, verdict: 'valid' })) })
})

test('a stranger alone is not enough, beside a member it does no harm', async () => {
  const id = finalized()
  const stranger = generateSigningKeyPair()
  await signAs(stranger, id)
  const unknown = { key_id: stranger.publicKey, verdict: 'unknown_key' }
  expect(verify(id)).toEqual({ status: 65, verdicts: [unknown] })
  artifact('sign', id)
  const both = verify(id)
  expect(both.status).toBe(0)
  expect(both.verdicts).toEqual(expect.arrayContaining([unknown, expect.objectContaining({ verdict: 'valid' })]))
})

test('a signature that the key did not make fails all, also beside one that is valid', async () => {
  const id = finalized()
  artifact('sign', id)
  const { publicKey } = generateSigningKeyPair()
  await signAs({ ...generateSigningKeyPair(), publicKey }, id)
  const { status, verdicts } = verify(id)
  expect(status).toBe(65)
  expect(verdicts).toContainEqual({ key_id: publicKey, verdict: 'invalid' })
})

test('the envelope holds the manifest, and is verified without the daemon', async () => {
  const id = finalized()
  const { key_id: keyId } = artifact<SignedArtifactPackage>('sign', id)
  const answer = await overSocket.get(`/packages/${id}/signatures/envelope`)
  expect([answer.status, answer.headers['content-type']]).toEqual([200, 'application/vnd.dsse.envelope.v1+json'])
  const envelope = decodeEnvelope(answer.bytes)
  expect(envelope.payloadType).toBe(manifestMediaType)
  expect(decodeCanonical(envelope.payload)).toMatchObject({ package: { package_id: id } })
  const trusted = await verifyManifestEnvelope(envelope, (key) => (key === keyId ? 'trusted' : 'unknown'))
  expect(trusted).toEqual([{ keyId, verdict: 'valid' }])
})

test('what is not finalized, not signed or not there says so', async () => {
  const { package_id: open } = artifact<ShownPackage>('create', 'open')
  for (const verb of ['sign', 'verify-signature']) {
    expect(line.problem(['artifact', verb, open])).toMatchObject({ code: 'not_finalized', exitCode: 65 })
    const nobody = line.problem(['artifact', verb, '01JD0000000000000000000000'])
    expect(nobody).toMatchObject({ code: 'package_not_found', exitCode: 66 })
  }
  const unsigned = { method: 'GET', path: `/packages/${finalized()}/signatures/envelope` }
  expect(await overSocket.refusal(unsigned)).toEqual([409, 'not_signed'])
})
