/**
 * Kills sender, broker and recipient at every named step between `POST /v1/send` and the other inbox, and looks what
 * came of it: whatever was acknowledged is in the other inbox, once and in the order of its acknowledgement, and whatever
 * was asked for again is there once too.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type StartOptions, TestMesh } from '../support/mesh.ts'
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
const messagesAfterTheKill = 5
/** Between two messages: enough of them to pass every step twice, and not thousands. */
const paceMs = 5

describe('a process killed at any step of the path', () => {
  let mesh: TestMesh
  const acknowledged: string[] = []
  let hit = 0

  beforeAll(async () => {
    mesh = await TestMesh.start(['alice', 'bob'])
  }, 60_000)

  afterAll(async () => {
    await mesh.end()
    console.log(`crash steps hit: ${hit} of ${steps.length}, messages acknowledged: ${acknowledged.length}`)
  })

  for (const { victim, at } of steps) {
    test(`${victim} at ${at}: nothing acknowledged is lost, doubled or out of order`, async () => {
      const target = victim === 'broker' ? mesh.broker : mesh.member(victim)
      // The second pass, so that the step is met in the middle of work and not at its first message.
      await target.start({ crashAt: `${at}:2` } satisfies StartOptions)
      const { running } = target
      const sending = sendUntilAfter(mesh, { label: at, over: () => running.ending !== null, acknowledged })
      expect(await running.ended).toMatchObject({ signal: 'SIGKILL' })
      hit += 1
      await target.start()
      await sending
      await expectInOrder(mesh, acknowledged)
    }, 150_000)
  }
})

/** Sends one message after another until the kill has happened, and a few more. */
async function sendUntilAfter(
  mesh: TestMesh,
  o: { readonly label: string; readonly over: () => boolean; readonly acknowledged: string[] },
): Promise<void> {
  let left = messagesAfterTheKill
  for (let n = 0; left > 0; n += 1) {
    if (o.over()) left -= 1
    const key = `${o.label}/${n}`
    await sendUntilAcknowledged(mesh.member('alice'), { to: '@bob', message: `message ${key}`, client_message_id: key })
    o.acknowledged.push(key)
    await pause(paceMs)
  }
}

/** The sender waits for each answer, so its messages have one order; a crash takes all that is on its way back at once. */
async function expectInOrder(mesh: TestMesh, acknowledged: readonly string[]): Promise<void> {
  await mesh.member('alice').drained()
  const arrived = await mesh.member('bob').inboxOf(acknowledged.length)
  expect(arrived.map((message) => message.client_message_id)).toEqual(acknowledged)
}
