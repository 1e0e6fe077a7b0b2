/** Several brokers as processes over one PostgreSQL: their members see one mesh, whatever node they are connected to. */

import { limits } from '@claudemesh/protocol'
import { expect, onTestFinished, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { Balancer, type Node, startNode } from '../support/nodes.ts'
import { ask, freshDatabase } from '../support/postgres.ts'
import { message, RawMember, textOf } from '../support/raw-member.ts'
import { type MemberIdentity, RawMesh } from '../support/raw-mesh.ts'
import { readHistory, receiveUntil, sendUntil } from '../support/steady-traffic.ts'

/** No node looks by itself while a test runs: what arrives was told by a note. */
const notesOnly = { CLAUDEMESH_BROKER_NODE_HEARTBEAT_MS: '60000', CLAUDEMESH_BROKER_NODE_DEAD_MS: '120000' }
/** Dead nodes and absent members are found soon. */
const soon = {
  CLAUDEMESH_BROKER_NODE_HEARTBEAT_MS: '300',
  CLAUDEMESH_BROKER_NODE_DEAD_MS: '2500',
  CLAUDEMESH_BROKER_PRESENCE_GRACE_MS: '4000',
}

test('members on different nodes talk to each other and to topics, and receipts come back', async () => {
  const { nodes, mesh } = await openNodes(notesOnly)
  const [here, there] = nodes
  const bob = mesh.join('bob')
  const sender = await RawMember.connect(here.url, mesh.founder)
  const receiver = await RawMember.connect(there.url, bob)
  await receiver.request('topics.subscribe', { topic: 'news' })
  const told = await sender.next('event', ({ items }) => items.some(({ kind }) => kind === 'topic'))
  expect(told.items).toContainEqual({ kind: 'topic', topic: 'news', subscribers: 1 })
  for (const to of [
    { kind: 'dm', ref: bob.memberId },
    { kind: 'topic', ref: 'news' },
  ] as const) {
    const sent = await sender.postOne(message({ to, text: `to ${to.kind}` }))
    expect(sent.status).toBe(201)
    const items = await receiver.deliveries(1)
    expect(items.map(textOf)).toEqual([`to ${to.kind}`])
    receiver.acknowledge(items)
    expect(await sender.receipts(1)).toMatchObject([{ recipient: bob.memberId, state: 'delivered' }])
  }
  await receiver.request('profile.set', { summary: 'reviews', activity: null, visible: true })
  await sender.next('event', ({ items }) =>
    items.some((item) => item.kind === 'member' && item.member.summary === 'reviews' && item.member.online),
  )
})

test('a call that waits for work at one node is answered with what another one accepts', async () => {
  const { nodes, mesh } = await openNodes(notesOnly)
  const worker = mesh.join('worker')
  const taker = await RawMember.connect(nodes[1].url, worker)
  await taker.request('queues.consume', { queue: 'jobs' })
  const taking = taker.request('queues.take', { queue: 'jobs', limit: 1, lease_ms: 60_000, wait_ms: 8_000 })
  const sender = await RawMember.connect(nodes[0].url, mesh.founder)
  expect((await sender.postOne(message({ to: { kind: 'queue', ref: 'jobs' }, text: 'work' }))).status).toBe(201)
  expect((await taking).items.map(textOf)).toEqual(['work'])
})

test('a newer connection at another node replaces the older one', async () => {
  const { nodes, mesh } = await openNodes({ ...notesOnly, CLAUDEMESH_BROKER_CONCURRENCY_POLICY: 'prefer_newest' })
  const bob = mesh.join('bob')
  const older = await RawMember.connect(nodes[0].url, bob)
  const newer = await RawMember.connect(nodes[1].url, bob)
  expect(await older.closing()).toMatchObject({ code: 4003 })
  await newer.settled()
})

test('an older connection at another node has precedence, except before the process that it belongs to', async () => {
  const { nodes, mesh } = await openNodes({ ...notesOnly, CLAUDEMESH_BROKER_CONCURRENCY_POLICY: 'prefer_oldest' })
  const bob = mesh.join('bob')
  const older = await RawMember.connect(nodes[0].url, bob, { instanceId: instance })
  const refused = RawMember.dial(nodes[1].url)
  refused.greet(nodes[1].url, bob).catch(() => undefined)
  expect(await refused.closing()).toMatchObject({ code: 4004 })
  await older.settled()
  const again = await RawMember.connect(nodes[1].url, bob, { instanceId: instance })
  expect((await older.closing()).code).not.toBe(4003)
  await again.settled()
})

test('where several connections are allowed each message goes to one of them', async () => {
  const { nodes, mesh } = await openNodes({ ...notesOnly, CLAUDEMESH_BROKER_CONCURRENCY_POLICY: 'allow_concurrent' })
  const bob = mesh.join('bob')
  const connections = [await RawMember.connect(nodes[0].url, bob), await RawMember.connect(nodes[1].url, bob)]
  const sender = await RawMember.connect(nodes[0].url, mesh.founder)
  const items = Array.from({ length: 40 }, (_, n) =>
    message({ to: { kind: 'dm', ref: bob.memberId }, text: String(n), receipts: true }),
  )
  for (const item of items) await sender.postOne(item)
  const texts: string[] = []
  await eventually('every message has come', async () => {
    for (const connection of connections) {
      for (const { items } of connection.pending('deliver')) {
        const taken = await connection.deliveries(items.length)
        texts.push(...taken.map(textOf))
        connection.acknowledge(taken)
      }
    }
    return texts.length >= items.length
  })
  await sender.receipts(items.length)
  expect(texts.toSorted()).toEqual(items.map((_, n) => String(n)).toSorted())
})

test('who is there is known at every node, and neither moving nor a dead node makes noise', async () => {
  const { nodes, mesh } = await openNodes(soon)
  const [first, second] = nodes
  const people = { bob: mesh.join('bob'), carol: mesh.join('carol'), dave: mesh.join('dave') }
  const watcher = await RawMember.connect(second.url, mesh.founder)
  await awaitPresence(watcher, mesh.founder, true)
  const bob = await RawMember.connect(first.url, people.bob, { instanceId: instance })
  await awaitPresence(watcher, people.bob, true)
  await RawMember.connect(first.url, people.carol)
  await awaitPresence(watcher, people.carol, true)

  // To another node and back, and then its node dies.
  await bob.close()
  const moved = await RawMember.connect(second.url, people.bob)
  await moved.close()
  await RawMember.connect(first.url, people.bob)
  await first.process.kill()
  const back = await RawMember.connect(second.url, people.bob)

  // The first node had the lead; the other one takes it over and finds that carol does not come back.
  await awaitPresence(watcher, people.carol, false)
  const dave = await RawMember.connect(second.url, people.dave)
  await awaitPresence(watcher, people.dave, true)
  await dave.close()
  await awaitPresence(watcher, people.dave, false)
  expect(presenceOf(watcher), 'nothing more was told, of bob least of all').toEqual([])
  const { members } = await watcher.request('members.list', { limit: 10 })
  const online = members.filter((member) => member.online).map((member) => member.member_id)
  expect(online.toSorted()).toEqual([people.bob.memberId, mesh.founder.memberId].toSorted())
  await back.settled()
}, 60_000)

test('a member has one rate limit over all nodes, and a retry is answered whatever the limit', async () => {
  const perSecond = 5
  const { nodes, mesh } = await openNodes({
    CLAUDEMESH_BROKER_CONCURRENCY_POLICY: 'allow_concurrent',
    CLAUDEMESH_BROKER_RATE_MEMBER_PER_SECOND: String(perSecond),
  })
  const reader = mesh.join('reader')
  await (await RawMember.connect(nodes[0].url, reader)).close()
  const connections = await Promise.all(nodes.map((node) => RawMember.connect(node.url, mesh.founder)))
  const startedAt = Date.now()
  const batches = connections.map(() =>
    Array.from({ length: 40 }, () => message({ to: { kind: 'dm', ref: reader.memberId } })),
  )
  const results = await Promise.all(connections.map((connection, n) => connection.post(batches[n] ?? [])))
  const windows = Math.floor((Date.now() - startedAt) / 1_000) + 2
  const accepted = results.flat().filter(({ status }) => status === 201)
  const limited = results.flat().filter(({ status }) => status === 429)
  expect(accepted.length).toBeGreaterThanOrEqual(perSecond)
  expect(accepted.length).toBeLessThanOrEqual(windows * perSecond)
  expect(accepted.length + limited.length).toBe(80)
  const ids = new Set(accepted.map(({ client_message_id }) => client_message_id))
  const retries = batches.flat().filter((item) => ids.has(item.client_message_id))
  expect((await connections[1]?.post(retries))?.map(({ status }) => status)).toEqual(retries.map(() => 200))
})

test('whoever is revoked at one node is put out at every other', async () => {
  const { nodes, mesh } = await openNodes(notesOnly)
  const bob = mesh.join('bob')
  const there = await RawMember.connect(nodes[1].url, bob)
  const other = await RawMember.connect(nodes[1].url, mesh.join('other'))
  const admin = await RawMember.connect(nodes[0].url, mesh.founder)
  const put = mesh.revoke({ members: [{ member_id: bob.memberId, at: Date.now() }] })
  await admin.request('revocations.put', put)
  expect(await there.closing()).toMatchObject({ code: 4005 })
  await other.next('event', ({ items }) => items.some(({ kind }) => kind === 'revocations'))
})

test('whoever leaves at one node is out at every other', async () => {
  const { nodes, mesh } = await openNodes({ ...notesOnly, CLAUDEMESH_BROKER_CONCURRENCY_POLICY: 'allow_concurrent' })
  const bob = mesh.join('bob')
  const [here, there] = await Promise.all(nodes.map((node) => RawMember.connect(node.url, bob)))
  await here?.request('members.leave', {})
  expect(await there?.closing()).toMatchObject({ code: 1000 })
})

test('a connection that listens for notes and is ended delays what it would have told, and comes back', async () => {
  const { nodes, mesh, databaseUrl } = await openNodes(notesOnly)
  const bob = mesh.join('bob')
  const sender = await RawMember.connect(nodes[0].url, mesh.founder)
  const receiver = await RawMember.connect(nodes[1].url, bob)
  await sender.request('revocations.put', mesh.revoke({ invites: [] }))
  await receiver.next('event', (frame) => frame.items.some(({ kind }) => kind === 'revocations'))
  for (let n = 0; n < 5; n += 1) {
    const ended = await ask(
      databaseUrl,
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE application_name = 'claudemesh-notes' AND datname = current_database()`,
    )
    expect(ended.length).toBeGreaterThan(0)
    await sender.postOne(message({ to: { kind: 'dm', ref: bob.memberId }, text: String(n) }))
    const items = await receiver.deliveries(1)
    expect(items.map(textOf)).toEqual([String(n)])
    receiver.acknowledge(items)
    // What only an event tells is told again, in case that it was missed.
    await receiver.next('event', (frame) => frame.items.some(({ kind }) => kind === 'revocations'))
    await eventually('both nodes listen again', async () => {
      const listening = await ask(
        databaseUrl,
        `SELECT 1 FROM pg_stat_activity
          WHERE application_name = 'claudemesh-notes' AND datname = current_database()`,
      )
      return listening.length === 2
    })
  }
}, 60_000)

test('a node that is killed under load loses nothing and doubles nothing, and its members go on at the other', async () => {
  const databaseUrl = await freshDatabase()
  const balancer = await Balancer.open()
  onTestFinished(() => balancer.close())
  const env = { ...soon, CLAUDEMESH_BROKER_PUBLIC_URLS: balancer.url, CLAUDEMESH_BROKER_LEASE_MS: '2000' }
  const nodes = [await startNode({ databaseUrl, env }), await startNode({ databaseUrl, env })]
  balancer.targets.push(...nodes.map(({ port }) => port))
  const url = `${balancer.url}/v1/ws`
  const mesh = new RawMesh()
  const reader = mesh.join('reader')
  await (await RawMember.connect(url, reader)).close()
  const stop = new AbortController()
  const senders = [mesh.founder, mesh.join('b'), mesh.join('c')]
  const sending = senders.map((sender) => sendUntil(stop.signal, { url, sender, reader }))
  const received = receiveUntil(stop.signal, { url, reader })
  const kills = 4
  for (let n = 0; n < kills; n += 1) {
    const flowing = received.count()
    await eventually('traffic flows', () => received.count() > flowing + 100)
    const victim = nodes[n % 2]
    if (victim === undefined) throw new Error('there are two nodes')
    await victim.process.kill()
    const before = received.count()
    await eventually('traffic flows through the other node', () => received.count() > before + 100)
    nodes[n % 2] = await startNode({ databaseUrl, env, port: victim.port })
  }
  stop.abort()
  const accepted = (await Promise.all(sending)).flat()
  await eventually(
    'everything accepted has been delivered',
    () => accepted.every(({ brokerMessageId }) => received.has(brokerMessageId)),
    { withinMs: 60_000 },
  )
  await received.end()
  const history = await readHistory(await RawMember.connect(url, reader))
  expect(history.map((item) => Number(item.history_id))).toEqual(history.map((_, n) => n + 1))
  const acknowledged = accepted.map(({ brokerMessageId }) => brokerMessageId)
  expect(history.map((item) => item.broker_message_id).toSorted()).toEqual(acknowledged.toSorted())
  console.log(`node kills: ${kills}, messages acknowledged: ${accepted.length}, in the history: ${history.length}`)
}, 180_000)

const instance = '01JZZZZZZZZZZZZZZZZZZZZZZZ'

/** Two nodes over one database, and a mesh that one of them knows. */
async function openNodes(env: Readonly<Record<string, string>>) {
  const databaseUrl = await freshDatabase()
  const nodes: readonly [Node, Node] = [await startNode({ databaseUrl, env }), await startNode({ databaseUrl, env })]
  return { nodes, databaseUrl, mesh: new RawMesh() }
}

function presenceOf(watcher: RawMember): readonly unknown[] {
  return watcher.pending('event').flatMap(({ items }) => items.filter(({ kind }) => kind === 'presence'))
}

/** The next thing that is told of anybody's presence is this. */
async function awaitPresence(watcher: RawMember, { memberId }: MemberIdentity, online: boolean): Promise<void> {
  const { items } = await watcher.next(
    'event',
    (frame) => frame.items.some((item) => item.kind === 'presence'),
    limits.silenceMsMax,
  )
  expect(items).toContainEqual(expect.objectContaining({ kind: 'presence', member_id: memberId, online }))
}
