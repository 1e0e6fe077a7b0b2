import type { Certificate } from '@claudemesh/protocol'
import { expect, test } from 'vitest'
import { signMemberCertificate } from './certificate.ts'
import { verifyChain, verifyChainInTurns } from './chain.ts'
import { generateMemberKeys, generateSigningKeyPair } from './keys.ts'

const meshId = '01JD8Z6K3V0000000000000000'
const now = 1_700_000_000_000

/** A chain of one founding certificate and rotations that nobody has verified yet. */
function freshChain(rotations: number) {
  const root = generateSigningKeyPair()
  const founder = generateMemberKeys()
  let keys = founder
  let issuer = root
  let chain: Certificate[] = []
  for (let epoch = 0; epoch <= rotations; epoch += 1) {
    const certificate = signMemberCertificate({
      meshId,
      memberId: founder.signing.publicKey,
      name: 'ada',
      role: 'admin',
      keys,
      epoch,
      notBefore: now,
      notAfter: null,
      issuer,
    })
    chain = [certificate, ...chain]
    issuer = keys.signing
    keys = generateMemberKeys()
  }
  return { mesh: { mesh_id: meshId, root_key: root.publicKey }, chain, now }
}

test('verifying a chain in turns tells of each new certificate once, and of none that is known', async () => {
  const input = freshChain(29)
  const told: number[] = []
  const go = async (verified: number) => {
    told.push(verified)
    return true
  }
  const verdict = await verifyChainInTurns(input, go)
  expect(verdict).toEqual(verifyChain(input))
  expect(verdict).toMatchObject({ ok: true, member: { epoch: 29 } })
  expect(told.reduce((sum, verified) => sum + verified, 0)).toBe(30)
  expect(Math.max(...told)).toBeLessThanOrEqual(4)
  told.length = 0
  expect(await verifyChainInTurns(input, go)).toEqual(verdict)
  expect(told).toEqual([])
})

test('verifying a chain in turns stops when it is told to, and goes on from there the next time', async () => {
  const input = freshChain(29)
  let verified = 0
  const until = (most: number) => async (more: number) => {
    verified += more
    return verified < most
  }
  expect(await verifyChainInTurns(input, until(10))).toBeNull()
  expect(verified).toBeLessThan(14)
  expect(await verifyChainInTurns(input, until(31))).toMatchObject({ ok: true })
  expect(verified).toBe(30)
})

test('verifying a chain in turns finds the fault that verifying it at once does', async () => {
  const { chain, ...rest } = freshChain(9)
  const [current, old, ...others] = chain
  if (current === undefined || old === undefined) throw new Error('the chain is long enough')
  const faulty = [
    [],
    [old, current, ...others],
    [current, ...others],
    [{ ...current, signature: old.signature }, old, ...others],
    [current, { ...old, signature: current.signature }, ...others],
  ]
  for (const one of faulty) {
    const input = { ...rest, chain: one }
    const verdict = await verifyChainInTurns(input, async () => true)
    expect(verdict).toEqual(verifyChain(input))
    expect(verdict).toMatchObject({ ok: false })
  }
})
