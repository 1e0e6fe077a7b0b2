/**
 * Kills a daemon at the commits that an operator asks it for, and at what it learns of the members: it has happened or not,
 * the next start needs nobody, and what was acknowledged arrives once.
 */
import { rmSync } from 'node:fs'
import type { OutboxDetail } from '@claudemesh/protocol'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { HttpAnswer } from '../support/http-over-socket.ts'
import { type TestMember, TestMesh } from '../support/mesh.ts'

interface Step {
  readonly at: string
  /** Asks for it; the daemon dies before it answers. */
  readonly ask: () => Promise<unknown>
  /** What is true after the next start, which is to die at the next of these steps. */
  readonly holds: () => Promise<void>
}

describe('a daemon killed in what an operator asked for', () => {
  let mesh: TestMesh
  let alice: TestMember
  let bob: TestMember
  let droppedId = ''
  let killed = 0

  beforeAll(async () => {
    mesh = await TestMesh.start(['alice', 'bob'])
    alice = mesh.member('alice')
    bob = mesh.member('bob')
    await Promise.all([bob.kill(), mesh.broker.kill()])
    for (const key of ['dropped', 'waits']) await send(key)
    droppedId = ((await row('dropped')).json as OutboxDetail).row.id
  }, 60_000)
  afterAll(async () => {
    await mesh.end()
    console.log(`steps of an operator: killed at ${killed} of ${steps.length + membersSteps.length}`)
  })

  const post = (path: string, body: Readonly<Record<string, unknown>> = {}): Promise<HttpAnswer> =>
    alice.request({ method: 'POST', path, body })
  const row = (key: string): Promise<HttpAnswer> => alice.request({ method: 'GET', path: `/v1/outbox/${key}` })
  const drop = () => post(`/v1/outbox/${droppedId}/drop`)
  const prune = () => post('/v1/outbox/prune', { status: ['aborted'], older_than_ms: 0 })
  const freeze = () => post('/v1/outbox/freeze')
  async function send(key: string): Promise<void> {
    expect(await alice.send({ to: '@bob', message: key, client_message_id: key })).toMatchObject({ status: 202 })
  }

  const steps: readonly Step[] = [
    {
      at: 'daemon.drop.before-commit',
      ask: drop,
      holds: async () => expect(await row('dropped')).toMatchObject({ json: { row: { status: 'pending' } } }),
    },
    {
      at: 'daemon.drop.after-commit',
      ask: drop,
      async holds() {
        expect(await row('dropped')).toMatchObject({ json: { row: { status: 'aborted' } } })
        expect(await drop()).toMatchObject({ status: 409, json: { code: 'outbox_row_not_operable' } })
      },
    },
    {
      at: 'daemon.prune.before-commit',
      ask: prune,
      holds: async () => expect(await row('dropped')).toMatchObject({ status: 200 }),
    },
    {
      at: 'daemon.prune.after-commit',
      ask: prune,
      async holds() {
        expect(await row('dropped')).toMatchObject({ status: 404 })
        expect(await prune()).toMatchObject({ json: { pruned: 0 } })
      },
    },
    {
      at: 'daemon.freeze.before-commit',
      ask: freeze,
      holds: async () => expect(await freeze()).toMatchObject({ json: { frozen: 1 } }),
    },
    {
      // The first time is the look at what the step before has left.
      at: 'daemon.freeze.after-commit:2',
      async ask() {
        await send('frozen')
        await freeze()
      },
      holds: async () => expect(await freeze()).toMatchObject({ json: { frozen: 0, unsealed: 0 } }),
    },
  ]

  test('at each of its commits: it has happened or not, and the next start needs nobody', async () => {
    let holds = async (): Promise<void> => undefined
    for (const step of steps) {
      await alice.start({ crashAt: step.at })
      await holds()
      await expect(step.ask(), step.at).rejects.toThrow()
      expect(await alice.running.ended, step.at).toMatchObject({ signal: 'SIGKILL' })
      killed += 1
      holds = step.holds
    }
    await alice.start()
    await holds()
  }, 180_000)

  const membersSteps = ['daemon.members.before-commit', 'daemon.members.after-commit'] as const
  test('at what it learns of the members: it learns them again, and what waited arrives once', async () => {
    for (const suffix of ['', '-wal', '-shm']) rmSync(`${bob.paths.membersDatabase}${suffix}`, { force: true })
    await mesh.broker.start()
    for (const at of membersSteps) {
      await bob.start({ crashAt: at })
      expect(await bob.running.ended).toMatchObject({ signal: 'SIGKILL' })
      killed += 1
    }
    await bob.start()
    await bob.knows(['alice'])
    await alice.drained()
    const arrived = (await bob.inboxOf(2)).map((message) => message.client_message_id)
    expect(arrived).toEqual(['waits', 'frozen'])
  }, 120_000)
})
