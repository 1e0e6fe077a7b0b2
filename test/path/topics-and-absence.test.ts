import type { Message, TopicList } from '@claudemesh/protocol'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { type TestMember, TestMesh } from '../support/mesh.ts'
import { sendUntilAcknowledged } from '../support/traffic.ts'

describe('topics, and members who are away', () => {
  let mesh: TestMesh
  let alice: TestMember
  let bob: TestMember
  let carol: TestMember

  beforeAll(async () => {
    mesh = await TestMesh.start(['alice', 'bob', 'carol'])
    alice = mesh.member('alice')
    bob = mesh.member('bob')
    carol = mesh.member('carol')
  }, 60_000)
  afterAll(() => mesh.end())

  test('a topic message reaches every subscriber and not its sender', async () => {
    for (const member of [alice, bob, carol]) member.cli(['topic', 'subscribe', 'changes'])
    const sent = await alice.request({
      method: 'POST',
      path: '/v1/topic/post?wait=10000&until=delivered',
      body: { topic: '#changes', message: 'to all' },
    })
    expect(sent.json).toMatchObject({ status: 'done', state: 'delivered', recipient_count: 2 })
    for (const member of [bob, carol]) expect(texts(await member.inbox())).toEqual(['to all'])
    expect(texts(await alice.inbox())).toEqual([])
  })

  test('who unsubscribed gets no more of it', async () => {
    carol.cli(['topic', 'unsubscribe', 'changes'])
    const sent = await alice.send({ to: '#changes', message: 'to the rest' }, '?wait=10000&until=delivered')
    expect(sent.json).toMatchObject({ recipient_count: 1 })
    expect(texts(await bob.inbox())).toEqual(['to all', 'to the rest'])
    expect(texts(await carol.inbox())).toEqual(['to all'])
  })

  test('a subscription asked for while the broker is away is made when it is back', async () => {
    await mesh.broker.kill()
    const asked = await carol.request({ method: 'POST', path: '/v1/topic/subscribe', body: { topic: 'later' } })
    expect(asked.status).toBe(200)
    await mesh.broker.start()
    await eventually('the broker has the subscription', async () => {
      const list = (await carol.request({ method: 'GET', path: '/v1/topic/list' })).json as TopicList
      return list.topics.some((topic) => topic.name === 'later' && topic.subscribed)
    })
  })

  test('sends made while the broker is away are kept and go out in order when it is back', async () => {
    await mesh.broker.kill()
    const keys = Array.from({ length: 40 }, (_, n) => `away-${String(n).padStart(2, '0')}`)
    for (const key of keys) {
      const answer = await alice.send({ to: '@bob', message: key, client_message_id: key })
      expect(answer).toMatchObject({ status: 202, json: { status: 'queued', state: 'queued' } })
    }
    const waited = await alice.send({ to: '@bob', message: 'still here', client_message_id: 'away-last' }, '?wait=200')
    expect(waited.json).toMatchObject({ state: 'queued' })
    await mesh.broker.start()
    const arrived = await eventually('all of them arrive', async () => {
      const found = (await bob.inbox()).map((message) => message.client_message_id)
      const away = found.filter((key) => key.startsWith('away-'))
      return away.length > keys.length ? away : null
    })
    expect(arrived).toEqual([...keys, 'away-last'])
  })

  test('a member that was away finds everything at its return, once and in order', async () => {
    await bob.kill()
    const keys = Array.from({ length: 700 }, (_, n) => `absent-${String(n).padStart(3, '0')}`)
    for (const key of keys) await sendUntilAcknowledged(alice, { to: '@bob', message: key, client_message_id: key })
    await alice.drained()
    await bob.start()
    const arrived = await eventually('all of them arrive', async () => {
      const found = (await bob.inbox()).map((message) => message.client_message_id)
      const absent = found.filter((key) => key.startsWith('absent-'))
      return absent.length >= keys.length ? absent : null
    })
    expect(arrived).toEqual(keys)
  })

  test('an unknown name is refused with the names that are near', async () => {
    const answer = await alice.send({ to: '@bobb', message: 'hello' })
    expect(answer).toMatchObject({ status: 404, json: { code: 'recipient_unknown', near: ['bob'] } })
    const topic = await alice.send({ to: '#chanegs', message: 'hello' })
    expect(topic).toMatchObject({ status: 404, json: { code: 'topic_unknown', near: ['changes'] } })
  })
})

function texts(messages: readonly Message[]): (string | null)[] {
  return messages.map((message) => message.message)
}
