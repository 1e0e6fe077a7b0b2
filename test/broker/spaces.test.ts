/** Shared spaces over the wire (07 §4): who may append, and what arrives at whom. */
import type { RequestParams } from '@claudemesh/protocol'
import { expect, test } from 'vitest'
import { startBroker } from '../support/raw-broker.ts'
import { message, RawMember, textOf } from '../support/raw-member.ts'
import { RawMesh } from '../support/raw-mesh.ts'

const space = 'plans'
const topic = 'space.plans'
const noHead = { seq: 0, event_id: null }
const headAt = (seq: number) => ({ seq, event_id: `01JD000000000000000000000${seq}` })

test('whoever holds the lease appends for all who follow, and is told of nothing but that it was kept', async () => {
  const { holder, follower, append } = await sharedSpace()
  expect(await holder.request('spaces.append', append)).toEqual({ broker_message_id: expect.any(String) })
  const [delivery] = await follower.deliveries(1)
  expect(delivery).toMatchObject({ destination: { kind: 'topic', ref: topic } })
  expect(delivery === undefined ? null : textOf(delivery)).toBe('decided')
  const { lease } = await follower.request('spaces.lease', { space })
  expect(lease).toMatchObject({ epoch: 1, head: headAt(2) })
  expect(lease.expires_in_ms).toBeGreaterThan(0)
  await holder.settled()
  expect(holder.pending('receipts')).toEqual([])
})

test('the same append again is answered as before, also by whoever has lost the lease since', async () => {
  const { holder, follower, append } = await sharedSpace()
  const first = await holder.request('spaces.append', append)
  await holder.request('spaces.release', { space, epoch: 1 })
  await follower.request('spaces.acquire', { space, head: noHead, term_ms: 15_000 })
  expect(await holder.request('spaces.append', append)).toEqual(first)
  const next = { ...append, client_message_id: 'append-2', after: 2, head: headAt(3) }
  expect(await holder.call('spaces.append', next)).toMatchObject({ status: 409, code: 'lease_lost' })
  await follower.deliveries(1)
  await follower.settled()
  expect(follower.pending('deliver')).toEqual([])
})

test('a lease is not renewed for whoever lost it, and giving it up again changes nothing', async () => {
  const { holder, follower } = await sharedSpace()
  await holder.request('spaces.release', { space, epoch: 1 })
  const taken = await follower.request('spaces.acquire', { space, head: noHead, term_ms: 15_000 })
  expect(taken).toMatchObject({ granted: true, lease: { epoch: 2 } })
  const renewal = { space, epoch: 1, term_ms: 15_000 }
  expect(await holder.call('spaces.renew', renewal)).toMatchObject({ status: 409, code: 'lease_lost' })
  await holder.request('spaces.release', { space, epoch: 1 })
  expect(await follower.request('spaces.renew', { ...renewal, epoch: 2 })).toMatchObject({ lease: { epoch: 2 } })
})

test('no other message is taken for the topic of a space', async () => {
  const { holder, follower } = await sharedSpace()
  for (const member of [holder, follower]) {
    const posted = await member.postOne(message({ to: { kind: 'topic', ref: topic } }))
    expect(posted).toMatchObject({ status: 403, code: 'topic_reserved' })
  }
  expect(await holder.postOne(message({ to: { kind: 'topic', ref: 'space-talk' } }))).toMatchObject({ status: 404 })
})

const faults: Readonly<Record<string, readonly [Partial<RequestParams<'spaces.append'>>, string]>> = {
  'with a head that is none': [{ head: { seq: 2, event_id: null } }, 'invalid_request'],
  'that is not what its fingerprint says': [{ wire_fingerprint: '0'.repeat(64) }, 'fingerprint_mismatch'],
  'for subscribers of before': [{ recipients_epoch: 0 }, 'recipients_stale'],
  'to a space that nobody follows': [{ space: 'others' }, 'fingerprint_mismatch'],
}
for (const [what, [change, code]] of Object.entries(faults)) {
  test(`an append ${what} is refused, and its id stays free`, async () => {
    const { holder, append } = await sharedSpace()
    expect(await holder.call('spaces.append', { ...append, ...change })).toMatchObject({ code })
    expect(await holder.request('spaces.append', append)).toEqual({ broker_message_id: expect.any(String) })
  })
}

async function sharedSpace() {
  const { url } = await startBroker()
  const mesh = new RawMesh()
  const holder = await RawMember.connect(url, mesh.founder)
  const follower = await RawMember.connect(url, mesh.join('bob'))
  for (const member of [holder, follower]) await member.request('topics.subscribe', { topic })
  const { recipients_epoch } = await holder.request('topics.recipients', { topic })
  await holder.request('spaces.acquire', { space, head: noHead, term_ms: 15_000 })
  const { sealed, wire_fingerprint } = message({ to: { kind: 'topic', ref: topic }, text: 'decided', priority: 'now' })
  const append = {
    ...{ space, epoch: 1, after: 0, head: headAt(2), client_message_id: 'append-1' },
    ...{ wire_fingerprint, recipients_epoch, sealed },
  }
  return { holder, follower, append }
}
