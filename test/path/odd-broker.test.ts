/** The daemon as it is shipped, against a broker that misbehaves by script: twice, late, out of order, not at all. */
import { randomBytes } from 'node:crypto'
import { readKeyFile } from '@claudemesh/identity'
import { type BrokerFrame, encodeEnvelope, type Frame, type OutboxDetail, type SendItem } from '@claudemesh/protocol'
import { PairwiseKeys, seal } from '@claudemesh/sealing'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import type { TestMember, TestMesh } from '../support/mesh.ts'
import type { ScriptedBroker, ScriptedConnection } from '../support/scripted-broker.ts'
import { recordOf, startScriptedMesh } from '../support/scripted-directory.ts'

const messageIdOf = (n: number) => `01JZZZZZZZZZZZZZZZZZZZZZ${String(n).padStart(2, '0')}`

describe('a daemon whose broker', () => {
  let mesh: TestMesh
  let alice: TestMember
  let bobId: string
  let broker: ScriptedBroker
  let connection: ScriptedConnection

  beforeEach(async () => {
    ;({ mesh, broker, alice, bobId } = await startScriptedMesh())
    await alice.start()
    connection = await broker.accepted()
  }, 60_000)

  afterEach(async () => {
    await broker.stop()
    await mesh.end()
  })

  async function send(key: string): Promise<SendItem> {
    expect(await alice.send({ to: bobId, message: key, client_message_id: key })).toMatchObject({ status: 202 })
    return nextItem(connection)
  }

  async function row(key: string): Promise<OutboxDetail['row']> {
    return ((await alice.request({ method: 'GET', path: `/v1/outbox/${key}` })).json as OutboxDetail).row
  }

  function settled(key: string, status: string): Promise<OutboxDetail['row']> {
    return eventually(`${key} is ${status}`, async () => {
      const found = await row(key)
      return found.status === status ? found : null
    })
  }

  test('answers twice and differently is believed the first time', async () => {
    await send('twice')
    connection.send(results([{ client_message_id: 'twice', ...accepted(1) }]))
    await settled('twice', 'done')
    connection.send(results([{ client_message_id: 'twice', ...accepted(2) }]))
    connection.send(results([{ client_message_id: 'twice', status: 404, code: 'recipient_unknown' }]))
    connection.send(results([{ client_message_id: 'never-sent', ...accepted(3) }]))
    await send('after')
    connection.send(results([{ client_message_id: 'after', ...accepted(4) }]))
    await settled('after', 'done')
    expect(await row('twice')).toMatchObject({ status: 'done', broker_message_id: messageIdOf(1) })
  })

  test('relays no files cannot be shared over, and says so before anything is taken in', async () => {
    await eventually('the daemon is connected', async () => (await alice.health())?.link.connected)
    const body = { path: '/etc/hostname', to: bobId }
    const refused = await alice.request({ method: 'POST', path: '/v1/file/share', body })
    expect(refused).toMatchObject({ status: 501, json: { code: 'relay_unavailable' } })
    const list = await alice.request({ method: 'GET', path: '/v1/file/list' })
    expect(list.json).toEqual({ shares: [], next: null })
  })

  test('answers out of order settles each row with its own answer', async () => {
    const keys = ['a', 'b', 'c', 'd']
    for (const key of keys) await send(key)
    connection.send(results([...keys].reverse().map((key, n) => ({ client_message_id: key, ...accepted(n) }))))
    for (const [n, key] of [...keys].reverse().entries()) {
      expect(await settled(key, 'done')).toMatchObject({ broker_message_id: messageIdOf(n) })
    }
  })

  test('dies without an answer is sent the same bytes again, and its late answer on the next connection counts', async () => {
    const first = await send('unanswered')
    connection.socket.terminate()
    connection = await broker.accepted()
    const again = await nextItem(connection)
    expect(again).toEqual(first)
    connection.send(
      results([
        {
          client_message_id: 'unanswered',
          status: 200,
          duplicate: true,
          broker_message_id: messageIdOf(5),
          history_id: '5',
          history_available: true,
          recipient_count: 1,
          first_seen_at: 1,
        },
      ]),
    )
    expect(await settled('unanswered', 'done')).toMatchObject({ broker_message_id: messageIdOf(5), attempts: 2 })
  })

  test('is busy is asked again, and no sooner than it said', async () => {
    await send('busy')
    const refusedAt = performance.now()
    connection.send(results([{ client_message_id: 'busy', status: 429, code: 'rate_limited', retry_after_ms: 700 }]))
    await nextItem(connection)
    expect(performance.now() - refusedAt).toBeGreaterThanOrEqual(690)
    connection.send(results([{ client_message_id: 'busy', ...accepted(6) }]))
    await settled('busy', 'done')
  })

  test('says garbage loses the connection at worst, and nothing that was sent', async () => {
    await send('through-garbage')
    for (const text of ['{', '[]', '{"type":"no-such-frame"}']) connection.sendText(text)
    connection = await broker.accepted()
    await nextItem(connection)
    connection.send(results([{ client_message_id: 'through-garbage', ...accepted(7) }]))
    await settled('through-garbage', 'done')
  })

  test('delivers a message three times finds it stored once and acknowledged each time', async () => {
    const { member_id: aliceId } = (await alice.health()) ?? { member_id: '' }
    const destination = { kind: 'dm', ref: aliceId } as const
    const sealed = seal({
      header: {
        meshId: recordOf(alice).chain[0]?.mesh_id ?? '',
        sender: bobId,
        senderEpoch: 0,
        clientMessageId: 'delivered',
        destination,
        replyTo: null,
        priority: 'next',
        recipientsEpoch: null,
      },
      plaintext: encodeEnvelope({ metaCanonicalJson: '', body: Buffer.from('three times') }),
      recipients: [{ memberId: aliceId, boxKey: readKeyFile(alice.paths.keypair).box.publicKey }],
      keys: new PairwiseKeys({ box: readKeyFile(mesh.member('bob').paths.keypair).box, max: 1 }),
      random: (length) => randomBytes(length),
    }).toString('base64')
    for (const delivery_id of ['1', '2', '3']) {
      connection.send({
        type: 'deliver',
        items: [
          {
            delivery_id,
            broker_message_id: messageIdOf(8),
            history_id: '8',
            client_message_id: 'delivered',
            sender: bobId,
            destination,
            reply_to: null,
            priority: 'next',
            sealed,
            accepted_at: 1,
          },
        ],
      })
    }
    const outcomes = new Map<string, string>()
    while (outcomes.size < 3) {
      const ack: Frame<'deliver_ack'> = await connection.next('deliver_ack')
      for (const { delivery_id, outcome } of ack.items) outcomes.set(delivery_id, outcome)
    }
    expect([...outcomes.values()].sort()).toEqual(['duplicate', 'duplicate', 'stored'])
    expect((await alice.inbox()).map((message) => message.message)).toEqual(['three times'])
  })
})

/** A member as a broker lists it. */
type ResultItem = Extract<BrokerFrame, { type: 'send_results' }>['items'][number]

function results(items: ResultItem[]): BrokerFrame {
  return { type: 'send_results', items }
}

function accepted(n: number) {
  return { status: 201, broker_message_id: messageIdOf(n), history_id: String(n + 1), recipient_count: 1 } as const
}

async function nextItem(connection: ScriptedConnection): Promise<SendItem> {
  const { items } = await connection.next('send')
  const [item] = items
  if (item === undefined) throw new Error('a send frame carries items')
  return item
}
