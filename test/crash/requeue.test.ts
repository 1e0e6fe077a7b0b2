/** Kills the daemon on either side of the commit of a requeue: there is the old row or its successor, never both or none. */
import type { OutboxDetail } from '@claudemesh/protocol'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { type TestMember, TestMesh } from '../support/mesh.ts'

describe('a daemon killed while it requeues a dead row', () => {
  let mesh: TestMesh
  let alice: TestMember
  let deadId = ''

  beforeAll(async () => {
    mesh = await TestMesh.start(['alice', 'bob'], { startMembers: false })
    alice = mesh.member('alice')
    const { member_id: bobId } = JSON.parse(mesh.member('bob').cli(['whoami', '--json'])) as { member_id: string }
    // The broker refuses a message for a member that it has never met, and alice has nobody yet who knows better.
    await mesh.broker.kill()
    await alice.start()
    expect(await alice.send({ to: bobId, message: 'x', client_message_id: 'early' })).toMatchObject({ status: 202 })
    await mesh.broker.start()
    deadId = await eventually('the row is dead', async () => {
      const { row } = await detail('early')
      return row.status === 'dead' && row.id
    })
    await mesh.member('bob').start()
  }, 60_000)
  afterAll(() => mesh.end())

  async function detail(key: string): Promise<OutboxDetail> {
    return (await alice.request({ method: 'GET', path: `/v1/outbox/${key}` })).json as OutboxDetail
  }

  const requeue = () =>
    alice.request({ method: 'POST', path: `/v1/outbox/${deadId}/requeue`, body: { new_client_id: 'again' } })

  async function dieWhileRequeueing(crashAt: string): Promise<void> {
    await alice.start({ crashAt })
    await expect(requeue()).rejects.toThrow()
    expect(await alice.running.ended).toMatchObject({ signal: 'SIGKILL' })
    await alice.start()
  }

  test('before the commit: the row is as it was, and the new id is free', async () => {
    await dieWhileRequeueing('daemon.requeue.before-commit')
    const { row, chain } = await detail(deadId)
    expect(row).toMatchObject({ status: 'dead', superseded_by: null })
    expect(chain).toHaveLength(1)
    expect((await alice.request({ method: 'GET', path: '/v1/outbox/again' })).status).toBe(404)
  })

  test('after the commit: its successor is sent and arrives once, and the request again is refused', async () => {
    await dieWhileRequeueing('daemon.requeue.after-commit')
    await alice.drained()
    const { row, chain } = await detail(deadId)
    expect(row).toMatchObject({ status: 'aborted', superseded_by: chain[1]?.id })
    expect(chain.map((each) => each.client_message_id)).toEqual(['early', 'again'])
    expect(await requeue()).toMatchObject({ status: 409, json: { code: 'outbox_row_not_operable' } })
    await eventually('it arrives', async () => (await mesh.member('bob').inbox()).length > 0)
    expect((await mesh.member('bob').inbox()).map((message) => message.client_message_id)).toEqual(['again'])
  })
})
