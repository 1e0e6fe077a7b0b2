/** Chains may be long, and strangers can make valid ones: what a broker spends on them has bounds. */
import { join } from 'node:path'
import { generateMemberKeys, signMemberCertificate } from '@claudemesh/identity'
import { type Certificate, limits } from '@claudemesh/protocol'
import { expect, onTestFinished, test } from 'vitest'
import { handshakeBurst } from '../../apps/broker/src/limits.ts'
import { systemRuntime } from '../../apps/broker/src/runtime.ts'
import { findFreePort, TestBroker } from '../support/mesh.ts'
import { startBroker } from '../support/raw-broker.ts'
import { makeHello, RawMember } from '../support/raw-member.ts'
import { type MemberIdentity, RawMesh } from '../support/raw-mesh.ts'
import { scratchDirectory } from '../support/scratch-directory.ts'

test('a hello with a long chain of its own is not verified further when its address has had its share', async () => {
  // With a clock that stands still nothing of the share grows again.
  const { url } = await startBroker({}, { ...systemRuntime(), monotonicMs: () => 1_000 })
  const [first, second] = [longLived(), longLived()]
  const silent = await Promise.all(
    Array.from({ length: handshakeBurst - 9 }, async () => {
      const member = RawMember.dial(url)
      await member.next('challenge')
      return member
    }),
  )
  // 201 certificates take the share of six handshakes, and that is not given back for being let in.
  await (await RawMember.connect(url, first)).close()
  expect(await refusalOf({ url, identity: second })).toMatchObject({
    code: 1012,
    reason: { kind: 'handshakes_throttled' },
  })
  for (const member of silent) await member.close()
})

test('a member that comes back costs its address nothing but its hello, also at a broker that has just started', async () => {
  const data = join(scratchDirectory(), 'broker')
  const before = new TestBroker(data, await findFreePort())
  onTestFinished(() => before.kill())
  await before.start()
  const member = longLived()
  await (await RawMember.connect(`${before.url}/v1/ws`, member)).close()
  await before.kill()
  // This process has verified none of its 201 certificates, which would take the share of six handshakes.
  const { url } = await startBroker({ data }, { ...systemRuntime(), monotonicMs: () => 1_000 })
  const silent = Array.from({ length: handshakeBurst - 3 }, () => RawMember.dial(url))
  for (const one of silent) await one.next('challenge')
  await (await RawMember.connect(url, member)).close()
  await Promise.all(silent.map((one) => one.close()))
})

test('a hello of a mesh that nobody may be in is refused before its chain is looked at', async () => {
  const open = await startBroker()
  const mesh = new RawMesh()
  await RawMember.connect(open.url, mesh.founder)
  const forged = mesh.founder.chain.map((one) => ({ ...one, signature: 'A'.repeat(86) }))
  const other = new RawMesh({ meshId: mesh.mesh.mesh_id })
  const squatter = { ...other.founder, chain: forged }
  expect(await refusalOf({ url: open.url, identity: squatter })).toMatchObject({ reason: { kind: 'mesh_conflict' } })
  const closed = await startBroker({ registration: 'closed' })
  const stranger = { ...mesh.founder, chain: forged }
  expect(await refusalOf({ url: closed.url, identity: stranger })).toMatchObject({ reason: { kind: 'mesh_unknown' } })
})

/** A founder with as many rotations as there may be, which this process has not verified. */
function longLived(): MemberIdentity {
  const mesh = new RawMesh()
  const { founder } = mesh
  let { keys } = founder
  let chain: readonly Certificate[] = founder.chain
  for (let epoch = 1; epoch <= limits.chainRotationsMax; epoch += 1) {
    const issuer = keys.signing
    keys = generateMemberKeys()
    const certificate = signMemberCertificate({
      meshId: mesh.mesh.mesh_id,
      memberId: founder.memberId,
      name: founder.name,
      role: 'admin',
      keys,
      epoch,
      notBefore: Date.now(),
      notAfter: null,
      issuer,
    })
    chain = [certificate, ...chain]
  }
  return { ...founder, keys, chain }
}

async function refusalOf({ url, identity }: { url: string; identity: MemberIdentity }) {
  const member = RawMember.dial(url)
  const { nonce } = await member.next('challenge')
  member.send(makeHello({ url, nonce, identity }))
  return member.closing()
}
