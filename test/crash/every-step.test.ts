/**
 * Kills sender, broker and recipient at every named step between `POST /v1/send` and the other inbox, one after the other:
 * the start that recovers from one kill is the one that dies at the next step. In the end whatever was acknowledged is in
 * the other inbox, once and in the order of its acknowledgement, and whatever was asked for again is there once too.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { TestMesh } from '../support/mesh.ts'
import { sendUntilAcknowledged } from '../support/traffic.ts'

/** The steps by the process that is killed there, in the order in which a message meets them. */
const steps: readonly { readonly victim: 'alice' | 'broker' | 'bob'; readonly at: string }[] = [
  { victim: 'alice', at: 'daemon.accept.before-commit' },
  { victim: 'alice', at: 'daemon.accept.after-commit' },
  { victim: 'alice', at: 'daemon.claim.before-commit' },
  { victim: 'alice', at: 'daemon.claim.after-commit' },
  { victim: 'alice', at: 'daemon.send.after-transmit' },
  { victim: 'broker', at: 'broker.accept.after-message' },
  { victim: 'broker', at: 'broker.accept.before-commit' },
  { victim: 'broker', at: 'broker.accept.after-commit' },
  { victim: 'alice', at: 'daemon.settle.before-commit' },
  { victim: 'alice', at: 'daemon.settle.after-commit' },
  { victim: 'broker', at: 'broker.deliver.after-claim' },
  { victim: 'bob', at: 'daemon.inbox.before-commit' },
  { victim: 'bob', at: 'daemon.inbox.after-commit' },
  { victim: 'bob', at: 'daemon.receive.after-ack' },
  { victim: 'broker', at: 'broker.ack.before-commit' },
  { victim: 'broker', at: 'broker.ack.after-commit' },
  { victim: 'bob', at: 'daemon.publish.before-commit' },
  { victim: 'bob', at: 'daemon.publish.after-commit' },
]
/** Between two messages: enough of them to pass every step twice, and not thousands. */
const paceMs = 5

describe('a process killed at any step of the path', () => {
  let mesh: TestMesh
  let sending: Promise<void>
  const acknowledged: string[] = []
  let step = 'start'
  let hit = 0

  beforeAll(async () => {
    mesh = await TestMesh.start(['alice', 'bob'])
    sending = sendUntilOver()
  }, 60_000)

  afterAll(async () => {
    await mesh.end()
    console.log(`crash steps hit: ${hit} of ${steps.length}, messages acknowledged: ${acknowledged.length}`)
  })

  /** One message after the other, each until it is acknowledged: so they have one order. */
  async function sendUntilOver(): Promise<void> {
    for (let n = 0; step !== 'over'; n += 1) {
      const key = `${step}/${n}`
      const body = { to: '@bob', message: `message ${key}`, client_message_id: key }
      await sendUntilAcknowledged(mesh.member('alice'), body)
      acknowledged.push(key)
      await pause(paceMs)
    }
  }

  for (const [index, { victim, at }] of steps.entries()) {
    test(`${victim} dies at ${at}`, async () => {
      step = at
      const target = victim === 'broker' ? mesh.broker : mesh.member(victim)
      // The second pass, so that the step is met in the middle of work and not at its first message.
      await target.start({ crashAt: `${at}:2` })
      expect(await target.running.ended).toMatchObject({ signal: 'SIGKILL' })
      hit += 1
      // Where the same one dies at the next step, the start that does is the one that recovers.
      if (steps[index + 1]?.victim !== victim) await target.start()
    }, 150_000)
  }

  test('nothing acknowledged is lost, doubled or out of order', async () => {
    step = 'over'
    await sending
    await mesh.member('alice').drained()
    const arrived = await mesh.member('bob').inboxOf(acknowledged.length)
    expect(arrived.map((message) => message.client_message_id)).toEqual(acknowledged)
  }, 150_000)
})
