import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { OutboxDetail, OutboxList } from '@claudemesh/protocol'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { type TestMember, TestMesh } from '../support/mesh.ts'

describe('a row that the broker refused for good', () => {
  let mesh: TestMesh
  let alice: TestMember
  let bobId: string
  let deadId: string

  beforeAll(async () => {
    mesh = await TestMesh.start(['alice', 'bob'], { startMembers: false })
    alice = mesh.member('alice')
    const whoami = JSON.parse(mesh.member('bob').cli(['whoami', '--json'])) as { member_id: string }
    bobId = whoami.member_id
    // Before its first contact with the broker a daemon has no directory, so it takes a member id at its word.
    await mesh.broker.kill()
    await alice.start()
  }, 60_000)
  afterAll(() => mesh.end())

  test('becomes dead with the reason, and its id stays bound', async () => {
    const body = { to: bobId, message: 'too early', client_message_id: 'early' }
    expect(await alice.send(body)).toMatchObject({ status: 202 })
    // The broker has never seen bob, who joined but was never connected.
    await mesh.broker.start()
    const list = await eventually('the row is dead', async () => {
      const { rows } = JSON.parse(alice.cli(['daemon', 'outbox', 'list', '--status', 'dead', '--json'])) as OutboxList
      return rows.length > 0 ? rows : null
    })
    expect(list[0]).toMatchObject({ client_message_id: 'early', state: 'dead' })
    expect(list[0]?.last_error).toContain('recipient_unknown')
    deadId = list[0]?.id ?? ''
    expect(await alice.send(body)).toMatchObject({
      status: 409,
      json: { code: 'idempotency_key_reused', conflict: 'outbox_dead_fingerprint_match' },
    })
  })

  test('is requeued with a corrected payload under a new id, delivered, and the chain is shown', async () => {
    await mesh.member('bob').start()
    await alice.knows(['bob'])
    const patch = join(mesh.directory, 'patch.json')
    writeFileSync(patch, JSON.stringify({ to: '@bob', message: 'in time' }))
    alice.cli(['daemon', 'outbox', 'requeue', '--id', deadId, '--new-client-id', 'in-time', '--patch-payload', patch])
    const messages = await eventually('it arrives', async () => {
      const found = await mesh.member('bob').inbox()
      return found.length > 0 ? found : null
    })
    expect(messages.map((message) => [message.client_message_id, message.message])).toEqual([['in-time', 'in time']])
    const detail = JSON.parse(alice.cli(['daemon', 'outbox', 'show', deadId, '--json'])) as OutboxDetail
    expect(detail.chain.map((row) => [row.client_message_id, row.status])).toEqual([
      ['early', 'aborted'],
      ['in-time', 'done'],
    ])
    expect(detail.row).toMatchObject({ aborted_by: 'operator', superseded_by: detail.chain[1]?.id })
  })

  test('cannot be requeued twice, and a done row not at all', async () => {
    for (const key of ['early', 'in-time']) {
      const { row } = (await alice.request({ method: 'GET', path: `/v1/outbox/${key}` })).json as OutboxDetail
      const answer = await alice.request({ method: 'POST', path: `/v1/outbox/${row.id}/requeue`, body: {} })
      expect(answer).toMatchObject({ status: 409, json: { code: 'outbox_row_not_operable' } })
    }
  })
})
