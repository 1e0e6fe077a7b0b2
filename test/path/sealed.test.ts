/** The broker as it is shipped, and whoever has its disk or its wire: they can neither read a message nor alter one. */
import type { DeliveryItem, Message, OutboxDetail, SendResponse } from '@claudemesh/protocol'
import Database from 'better-sqlite3'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { flipBit, partsOf } from '../support/altered-sealed.ts'
import { BrokerBehindProxy } from '../support/broker-behind-proxy.ts'
import { eventually } from '../support/eventually.ts'
import { type TestMember, TestMesh } from '../support/mesh.ts'
import { countBytes, filesIn, findAll, formsOf, type Haystack } from '../support/plaintext-search.ts'
import { seeded } from '../support/seed.ts'

const delivered = '?wait=30000&until=delivered'
const accepted = '?wait=30000&until=accepted'
const secretsPerMessage = 4

/** Texts that stand nowhere else, with characters in them that are written differently in different places. */
class Secrets {
  readonly all: string[] = []
  readonly #next: () => number

  constructor(next: () => number) {
    this.#next = next
  }

  /** A new one; both all of it and its core alone are looked for. */
  make(): string {
    const core = Array.from({ length: 4 }, () => Math.floor(this.#next() * 36 ** 6).toString(36)).join('zq')
    const text = `"${core}" \\ übermorgen <&> ${core}`
    this.all.push(core, text)
    return text
  }
}

async function idOf(member: TestMember): Promise<string> {
  return eventually(`${member.name} says who it is`, async () => (await member.health())?.member_id)
}

async function connected(member: TestMember): Promise<void> {
  await eventually(`${member.name} is connected`, async () => (await member.health())?.link.connected)
}

describe('what a broker holds, logs, receives and sends', () => {
  const random = seeded()
  const secrets = new Secrets(random.next)
  const ids: string[] = []
  let mesh: TestMesh
  let broker: BrokerBehindProxy
  let alice: TestMember
  let bob: TestMember
  let carol: TestMember

  beforeAll(async () => {
    mesh = await TestMesh.start(['alice', 'bob', 'carol'], { startMembers: false })
    broker = await BrokerBehindProxy.takeOver(mesh)
    for (const member of mesh.members) await member.start()
    for (const member of mesh.members) await member.knows(['alice', 'bob', 'carol'])
    ;[alice, bob, carol] = ['alice', 'bob', 'carol'].map((name) => mesh.member(name)) as [
      TestMember,
      TestMember,
      TestMember,
    ]
  }, 120_000)
  afterAll(async () => {
    await broker.end()
    await mesh.end()
  })

  /** Sends a message with a secret in everything that is the caller's own. */
  async function send(from: TestMember, to: string, query: string, more: object = {}): Promise<SendResponse> {
    const id = `id-${ids.length}-${Math.floor(random.next() * 36 ** 6).toString(36)}`
    ids.push(id)
    const meta = { [secrets.make()]: { nested: [secrets.make(), 17] } }
    const content = { message: `please read ${secrets.make()}`, meta, contentType: `text/${secrets.make()}` }
    const answer = await from.send({ to, client_message_id: id, ...content, ...more }, query)
    if (answer.status >= 300) throw new Error(`${id} was refused: ${answer.text}`)
    return answer.json as SendResponse
  }

  function search(haystacks: readonly Haystack[]): string[] {
    const needles = secrets.all.flatMap(formsOf)
    const bytes = countBytes(haystacks)
    console.log(`looked for ${needles.length} forms of ${secrets.all.length} texts in ${bytes} bytes (${random.seed})`)
    return findAll(needles, haystacks)
  }

  test('the search finds a text in whatever form it was written', () => {
    const [text] = [secrets.make()]
    for (const { form, bytes } of formsOf(text)) {
      const haystack = { name: 'bytes', bytes: Buffer.concat([Buffer.from('before'), bytes, Buffer.from('after')]) }
      expect(findAll(formsOf(text), [haystack]), form).not.toEqual([])
    }
    for (const before of ['', 'a', 'ab', 'abc']) {
      for (const encoding of ['base64', 'base64url', 'hex'] as const) {
        const bytes = Buffer.from(Buffer.from(`${before}${text}${before}`).toString(encoding))
        expect(findAll(formsOf(text), [{ name: 'bytes', bytes }]), `${encoding} after ${before}`).not.toEqual([])
      }
    }
  })

  test('messages of every kind arrive', async () => {
    const bobId = await idOf(bob)
    for (const member of [bob, carol]) member.cli(['topic', 'subscribe', 'changes'])
    await alice.knows(['bob', 'carol'])
    const first = await send(alice, '@bob', delivered)
    expect(first.state).toBe('delivered')
    expect(await send(bob, '@alice', delivered, { replyToId: first.broker_message_id })).toMatchObject({
      state: 'delivered',
    })
    const post = await send(alice, '#changes', delivered, { mentions: ['@carol', bobId], priority: 'now' })
    expect(post).toMatchObject({ state: 'delivered', recipient_count: 2 })
    expect(await send(alice, '@alice', accepted)).toMatchObject({ status: 'done' })

    bob.cli(['daemon', 'rotate-keypair'])
    await connected(bob)
    expect(await send(bob, '@alice', delivered)).toMatchObject({ state: 'delivered' })
    expect(await send(alice, '@bob', delivered)).toMatchObject({ state: 'delivered' })
  }, 120_000)

  test('a message whose recipients have changed meanwhile is sealed again', async () => {
    bob.cli(['topic', 'subscribe', 'late'])
    await eventually('alice knows the topic', async () =>
      (await alice.request({ method: 'GET', path: '/v1/topic/list' })).text.includes('"late"'),
    )
    expect(await send(alice, '#late', delivered)).toMatchObject({ recipient_count: 1 })
    const aliceId = await idOf(alice)
    broker.proxy.hold(aliceId)
    carol.cli(['topic', 'subscribe', 'late'])
    await send(alice, '#late', '')
    const id = ids.at(-1) ?? ''
    const transmissions = () =>
      broker.proxy.sent('send').flatMap(({ items }) => items.filter((item) => item.client_message_id === id))
    await eventually('it was sealed for those who are known', () => transmissions().length > 0)
    broker.proxy.release(aliceId)
    await eventually('carol has it', async () => (await carol.inbox()).some((one) => one.client_message_id === id))
    expect(new Set(transmissions().map(({ sealed }) => sealed)).size).toBeGreaterThan(1)
  }, 120_000)

  test('no text of a body or of meta is in it, while messages wait and after they were delivered', async () => {
    await carol.kill()
    for (const to of ['@carol', '#changes', '#late']) await send(alice, to, accepted)
    const waiting = ids.at(-1) ?? ''
    const whileWaiting = broker.traces
    expect(search(whileWaiting)).toEqual([])
    await carol.start()
    await eventually('carol has it', async () => (await carol.inbox()).some((one) => one.client_message_id === waiting))
    await alice.drained()
    expect(search(broker.traces)).toEqual([])
    await broker.stop('SIGTERM')
    const traces = broker.traces
    expect(search(traces)).toEqual([])

    // All of it was looked through: what a broker has to see is found, in its files and on both sides of the wire.
    expect(
      broker.proxy.heads.filter((head) => /sec-websocket-extensions/i.test(head) && head.startsWith('HTTP/')),
    ).toEqual([])
    for (const place of [/^broker\.db/, /to the broker, messages/, /to the daemon, messages/]) {
      const bytes = Buffer.concat(traces.filter(({ name }) => place.test(name)).map((one) => one.bytes))
      expect(
        ids.filter((id) => !bytes.includes(id)),
        String(place),
      ).toEqual([])
    }
    const log = traces.find(({ name }) => name === 'broker.log')
    expect(log?.bytes.includes(await idOf(alice))).toBe(true)
    expect(whileWaiting.some(({ name, bytes }) => name === 'broker.db-wal' && bytes.length > 0)).toBe(true)
  }, 120_000)

  test('the same search finds every one of them at those for whom they are', () => {
    const inboxes = mesh.members.flatMap(({ home }) => filesIn(home).filter(({ name }) => /inbox\.db/.test(name)))
    const found = secrets.all.filter((text) => findAll(formsOf(text), inboxes).length > 0)
    // The first was only made to be looked for.
    expect(found).toEqual(secrets.all.slice(2))
    expect(found.length).toBe(ids.length * secretsPerMessage * 2)
    console.log(`${ids.length} messages, ${found.length} texts found at those for whom they are`)
  })
})

describe('a message of which a single bit was changed', () => {
  const random = seeded()
  /** Parts of the bytes of a message from one member to another, sealed for both. */
  const partsOfDm = 14
  let mesh: TestMesh
  let broker: BrokerBehindProxy
  let alice: TestMember
  let bob: TestMember
  let altered = 0
  /** What was delivered, by the id of the delivery. */
  const deliveries = new Map<string, string>()

  beforeAll(async () => {
    console.log(`seed ${random.seed}`)
    mesh = await TestMesh.start(['alice', 'bob'], { startMembers: false })
    broker = await BrokerBehindProxy.takeOver(mesh)
    broker.proxy.rewrite = (frame) =>
      frame.type === 'deliver' ? { ...frame, items: frame.items.map(alterItem) } : frame
    alice = mesh.member('alice')
    bob = mesh.member('bob')
    for (const member of mesh.members) await member.start()
    for (const member of mesh.members) await member.knows(['alice', 'bob'])
  }, 120_000)
  afterAll(async () => {
    await broker.end()
    await mesh.end()
  })

  function alter(sealed: Buffer, index: number): Buffer {
    const parts = partsOf(sealed)
    const part = parts[index]
    if (part === undefined || parts.length !== partsOfDm) throw new Error(`a dm has ${parts.length} parts`)
    altered += 1
    return flipBit(sealed, part, random.next)
  }

  /** Messages of some names are altered on the wire; the others pass. */
  function alterItem(item: DeliveryItem): DeliveryItem {
    deliveries.set(item.delivery_id, item.client_message_id)
    const index = item.client_message_id.match(/^wire-(\d+)$/)?.[1]
    if (index === undefined) return item
    return { ...item, sealed: alter(Buffer.from(item.sealed, 'base64'), Number(index)).toString('base64') }
  }

  /** What everybody knows in the end of a message that was altered on its way. */
  async function expectUndecryptable(ids: readonly string[]): Promise<void> {
    const found = await eventually('all of them are kept', async () => {
      const kept = (await bob.inbox()).filter((message) => ids.includes(message.client_message_id))
      return kept.length >= ids.length ? kept : null
    })
    expect(found.map((one) => one.client_message_id).sort()).toEqual([...ids].sort())
    const reasons = ['malformed', 'header_mismatch', 'sender_unknown', 'not_a_recipient', 'not_authentic']
    for (const message of found) {
      expect(message).toMatchObject({ opened: false, message: null, meta: null } satisfies Partial<Message>)
      expect(reasons).toContain(message.unopened_reason)
    }
    for (const id of ids) {
      const { row, receipts } = await eventually(`the sender is told of ${id}`, async () => {
        const detail = (await alice.request({ method: 'GET', path: `/v1/outbox/${id}` })).json as OutboxDetail
        return detail.receipts.length > 0 ? detail : null
      })
      expect(row).toMatchObject({ status: 'done', state: 'undeliverable' })
      expect(receipts).toMatchObject([{ state: 'undeliverable', reason: 'undecryptable' }])
    }
    const acknowledged = broker.proxy.sent('deliver_ack').flatMap(({ items }) => items)
    const ofThese = acknowledged.filter(({ delivery_id }) => ids.includes(deliveries.get(delivery_id) ?? ''))
    expect(new Set(ofThese.map(({ delivery_id }) => deliveries.get(delivery_id)))).toEqual(new Set(ids))
    expect(new Set(ofThese.map(({ outcome }) => outcome))).toEqual(new Set(['undecryptable']))
  }

  async function unopenedByMetrics(): Promise<number> {
    const { text } = await bob.request({ method: 'GET', path: '/v1/metrics' })
    const values = [...text.matchAll(/^cm_daemon_messages_unopened_total\{[^}]*\} (\d+)$/gm)].map(([, n]) => Number(n))
    return values.reduce((sum, n) => sum + n, 0)
  }

  test('on the wire is not opened, is kept, counted and listed as such, and its sender is told', async () => {
    const ids = Array.from({ length: partsOfDm }, (_, n) => `wire-${n}`)
    for (const id of ids) {
      await alice.send({ to: '@bob', message: `altered ${id}`, meta: { id }, client_message_id: id })
      await alice.send({ to: '@bob', message: `honest ${id}`, client_message_id: `beside-${id}` })
    }
    await expectUndecryptable(ids)
    expect(await unopenedByMetrics()).toBe(partsOfDm)
    const honest = await eventually('the others arrive', async () => {
      const opened = (await bob.inbox()).filter((message) => message.opened)
      return opened.length >= ids.length ? opened : null
    })
    expect(honest.map((one) => one.message)).toEqual(ids.map((id) => `honest ${id}`))
  }, 120_000)

  test('in the database is not opened either', async () => {
    await bob.kill()
    const ids = Array.from({ length: partsOfDm }, (_, n) => `stored-${n}`)
    for (const id of ids) {
      const sent = await alice.send({ to: '@bob', message: `altered ${id}`, client_message_id: id }, accepted)
      expect(sent.json).toMatchObject({ state: 'accepted' })
    }
    await broker.stop()
    const db = new Database(broker.databasePath)
    for (const [n, id] of ids.entries()) {
      const found = db.prepare('SELECT sealed FROM topic_message WHERE client_message_id = ?').pluck().get(id)
      const sealed = alter(found as Buffer, n)
      db.prepare('UPDATE topic_message SET sealed = ? WHERE client_message_id = ?').run(sealed, id)
    }
    db.close()
    await broker.start()
    await bob.start()
    await expectUndecryptable(ids)
    expect(await unopenedByMetrics()).toBe(partsOfDm)
    expect((await alice.send({ to: '@bob', message: 'untouched' }, delivered)).json).toMatchObject({
      state: 'delivered',
    })
    console.log(`${altered} messages altered by one bit each, in ${partsOfDm} parts`)
  }, 120_000)
})
