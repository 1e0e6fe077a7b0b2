/** New keys of a member that stays who it is, at the broker (05 §5). */
import { verifyChain } from '@claudemesh/identity'
import { expect, test } from 'vitest'
import { startBroker } from '../support/raw-broker.ts'
import { makeHello, message, RawMember, textOf } from '../support/raw-member.ts'
import { type MemberIdentity, RawMesh } from '../support/raw-mesh.ts'

test('is offered', async () => {
  const { url } = await startBroker()
  const member = RawMember.dial(url)
  await member.greet(url, new RawMesh().founder)
  const { supported, missing_required: missing } = await member.negotiate(['member_keypair_rotated_event'])
  expect(missing).toEqual([])
  expect(supported).toMatchObject({ member_keypair_rotated_event: { version: 1 } })
})

test('the first hello with new keys puts them in the place of the old ones, and the others get the chain', async () => {
  const { url } = await startBroker()
  const mesh = new RawMesh()
  const bob = mesh.join('bob')
  const a = await RawMember.connect(url, mesh.founder)
  const before = await RawMember.connect(url, bob)
  await before.request('topics.subscribe', { topic: 'news' })
  await a.settled()
  for (const frame of a.pending('event')) await a.next('event', (each) => each === frame)
  const epoch = (await a.request('topics.recipients', { topic: 'news' })).recipients_epoch
  await before.close()
  await a.postOne(message({ to: { kind: 'dm', ref: bob.memberId }, text: 'sealed to the old key' }))

  const rotated = mesh.rotate(bob)
  const after = await RawMember.connect(url, rotated)
  const { items } = await a.next('event', (frame) => frame.items.some(({ kind }) => kind === 'member'))
  expect(items).toMatchObject([{ kind: 'member', member: { member_id: bob.memberId, status: 'active' } }])
  const [item] = items
  const chain = item?.kind === 'member' ? item.member.chain : []
  expect(verifyChain({ mesh: mesh.mesh, chain, now: Date.now() })).toMatchObject({
    ok: true,
    member: { epoch: 1, boxKey: rotated.keys.box.publicKey },
  })
  // It is the same member: what waited for it comes, and its subscriptions hold.
  expect((await after.deliveries(1)).map(textOf)).toEqual(['sealed to the old key'])
  expect(await a.request('topics.recipients', { topic: 'news' })).toEqual({
    recipients_epoch: epoch,
    members: [bob.memberId],
  })
  await after.settled()
  expect(after.pending('event').flatMap((frame) => frame.items.filter(({ kind }) => kind === 'member'))).toEqual([])
})

test('the old keys are worth nothing from then on, and a rotation out of the same epoch neither', async () => {
  const { url } = await startBroker()
  const mesh = new RawMesh()
  const first = mesh.founder
  const second = mesh.rotate(first)
  const fork = mesh.rotate(first)
  await (await RawMember.connect(url, first)).close()
  await (await RawMember.connect(url, second)).close()
  expect(await refusalOf(url, first)).toMatchObject({ code: 4001, reason: { kind: 'epoch_stale' } })
  expect(await refusalOf(url, fork)).toMatchObject({ code: 4001, reason: { kind: 'epoch_conflict' } })
  // Two rotations while it was away arrive as one.
  const fourth = mesh.rotate(mesh.rotate(second))
  await (await RawMember.connect(url, fourth)).close()
  expect(await refusalOf(url, second)).toMatchObject({ code: 4001, reason: { kind: 'epoch_stale' } })
})

test('a rotation out of an epoch that was given up is refused, however often it is rotated further', async () => {
  const { url } = await startBroker()
  const mesh = new RawMesh()
  const current = mesh.rotate(mesh.founder)
  await (await RawMember.connect(url, mesh.founder)).close()
  await (await RawMember.connect(url, current)).close()
  // Whoever has the keys of before has as many epochs as it likes, none of them out of the one that is known.
  const fork = mesh.rotate(mesh.rotate(mesh.founder))
  expect(await refusalOf(url, fork)).toMatchObject({ code: 4001, reason: { kind: 'epoch_conflict' } })
  await (await RawMember.connect(url, mesh.rotate(current))).close()
})

test('a connection with the old keys gives way to one with the new', async () => {
  const { url } = await startBroker()
  const mesh = new RawMesh()
  const old = await RawMember.connect(url, mesh.founder)
  const next = await RawMember.connect(url, mesh.rotate(mesh.founder))
  expect(await old.closing()).toMatchObject({ code: 4003 })
  await next.settled()
})

async function refusalOf(url: string, identity: MemberIdentity) {
  const member = RawMember.dial(url)
  const { nonce } = await member.next('challenge')
  member.send(makeHello({ url, nonce, identity }))
  return member.closing()
}
