import { decodeEnvelope, MeshError, type RequeueRequest } from '@claudemesh/protocol'
import type { DiskPressure } from '@claudemesh/storage'
import { beforeEach, describe, expect, it } from 'vitest'
import {
  acceptedBy,
  claimAll,
  draftOf,
  type OpenOutbox,
  refusalOf,
  temporaryOutbox,
} from '../../../../test/support/outbox.ts'
import { sweepRowsMax } from '../limits.ts'
import { OperateOutbox } from './requeue.ts'
import type { MemberLookup } from './resolve.ts'

const bob = 'b'.repeat(64)
const directory: MemberLookup = {
  findById: (memberId) => (memberId === bob ? { memberId, name: 'bob', status: 'active' } : null),
  findByName: (name) => (name === 'bob' ? [{ memberId: bob, name, status: 'active' }] : []),
  nearNames: () => ['bob'],
  findTopic: () => null,
  nearTopics: () => [],
  syncedAt: () => 1,
  topicsSyncedAt: () => 1,
}

let opened: OpenOutbox
let operate: OperateOutbox
let wakes: number
let pressure: DiskPressure

beforeEach(async () => {
  opened = await temporaryOutbox()
  wakes = 0
  pressure = 'ok'
  operate = new OperateOutbox({
    outbox: opened.outbox,
    members: directory,
    refreshDirectory: () => Promise.resolve(),
    inlineBytes: () => 1_024,
    diskPressure: () => pressure,
    runtime: opened.runtime,
    wake: () => {
      wakes += 1
    },
  })
})

async function deadRow(): Promise<string> {
  const { row } = await opened.outbox.accept(draftOf(opened.runtime, { text: 'first', clientMessageId: 'old' }))
  claimAll(opened)
  opened.outbox.settle([refusalOf(row.id)])
  return row.id
}

async function problemOf(run: () => unknown): Promise<Record<string, unknown>> {
  try {
    await run()
  } catch (error) {
    if (error instanceof MeshError)
      return { ...error.data, code: error.code, status: error.status, detail: error.message }
    throw error
  }
  throw new Error('it was done')
}

describe('requeue', () => {
  it('sends the same again under a minted id, and shows both rows', async () => {
    const id = await deadRow()
    const answer = await operate.requeue(id, {})
    expect(answer.old).toMatchObject({ id, status: 'aborted', aborted_by: 'operator', superseded_by: answer.new.id })
    expect(answer.new).toMatchObject({ status: 'pending', state: 'queued', message_bytes: 5 })
    expect(answer.new.client_message_id).not.toBe('old')
    expect(wakes).toBe(1)
  })

  it('on a full disk is 507 and changes nothing; it is done when there is room', async () => {
    const id = await deadRow()
    pressure = 'full'
    for (const request of [{}, { patch_payload: { to: '@bob', message: 'second' } }]) {
      expect(await problemOf(() => operate.requeue(id, request))).toMatchObject({
        code: 'insufficient_storage',
        status: 507,
      })
    }
    expect(opened.outbox.counts()).toMatchObject({ dead: 1, pending: 0, aborted: 0 })
    pressure = 'high'
    expect(await operate.requeue(id, {})).toMatchObject({ new: { status: 'pending' } })
  })

  it('takes the id it is given, also the old one when that is released', async () => {
    const id = await deadRow()
    const first = await operate.requeue(id, { new_client_id: 'new' })
    expect(first.new.client_message_id).toBe('new')
    expect(first.old.released_at).toBeNull()
    const second = await operate.requeue(first.new.id, { new_client_id: 'new', release_old_id: true })
    expect(second.new.client_message_id).toBe('new')
    expect(second.old.released_at).toBe(opened.runtime.now())
    expect(opened.outbox.chain(id).map((row) => row.id)).toEqual([id, first.new.id, second.new.id])
  })

  it('sends a patched payload, validated as a POST would be', async () => {
    const id = await deadRow()
    const patch = { to: '@bob', message: 'second', meta: { n: 1 }, priority: 'now' }
    const answer = await operate.requeue(id, { patch_payload: patch })
    expect(answer.new).toMatchObject({ destination_ref: bob, priority: 'now', message_bytes: 6 })
    const row = opened.outbox.get(answer.new.id)
    expect(decodeEnvelope(row?.payload ?? Buffer.alloc(0))).toMatchObject({ meta: { n: 1 } })
    expect(row?.requestFingerprint).not.toEqual(opened.outbox.get(id)?.requestFingerprint)
  })

  const badPatches: readonly (readonly [string, RequeueRequest, string, number, string])[] = [
    ['an id that is no id', { new_client_id: 'a b' }, 'invalid_client_message_id', 400, 'new_client_id'],
    ['a patch that is no object', { patch_payload: 7 }, 'invalid_request', 400, 'patch_payload'],
    ['a patch without a recipient', { patch_payload: { message: '' } }, 'invalid_request', 400, 'patch_payload'],
    ['a patch with an unknown field', patchOf({ extra: 1 }), 'invalid_request', 400, 'patch_payload/extra'],
    ['a patch with a mistyped field', patchOf({ message: 1 }), 'invalid_request', 400, 'patch_payload/message'],
    [
      'a patch with an id',
      patchOf({ client_message_id: 'x' }),
      'invalid_request',
      400,
      'patch_payload/client_message_id',
    ],
    ['a patch to nobody', patchOf({ to: 'zoe' }), 'recipient_unknown', 404, 'patch_payload/to'],
    ['a patch with reserved meta', patchOf({ meta: { $a: 1 } }), 'invalid_meta', 400, 'patch_payload/meta'],
    ['a patch too large', patchOf({ message: 'x'.repeat(2_000) }), 'payload_too_large', 413, 'patch_payload/message'],
  ]
  for (const [name, request, code, status, field] of badPatches) {
    it(`refuses ${name} and leaves the row as it is`, async () => {
      const id = await deadRow()
      const before = opened.outbox.get(id)
      expect(await problemOf(() => operate.requeue(id, request))).toMatchObject({ code, status, field })
      expect(opened.outbox.get(id)).toEqual(before)
      expect(wakes).toBe(0)
    })
  }

  it('refuses an id that another row has', async () => {
    const id = await deadRow()
    const { row } = await opened.outbox.accept(draftOf(opened.runtime, { clientMessageId: 'taken' }))
    const problem = await problemOf(() => operate.requeue(id, { new_client_id: 'taken' }))
    expect(problem).toMatchObject({ code: 'idempotency_key_reused', client_message_id: 'taken', outbox_id: row.id })
    expect(await problemOf(() => operate.requeue(id, { new_client_id: 'old' }))).toMatchObject({ outbox_id: id })
    expect(opened.outbox.get(id)?.status).toBe('dead')
  })

  it('says what is in the way of a row that is unknown, inflight, done or aborted', async () => {
    expect(await problemOf(() => operate.requeue('nobody', {}))).toMatchObject({
      code: 'outbox_row_unknown',
      status: 404,
    })
    expect(await problemOf(() => operate.drop('nobody'))).toMatchObject({ code: 'outbox_row_unknown' })
    const { row } = await opened.outbox.accept(draftOf(opened.runtime))
    claimAll(opened)
    const refusal = { code: 'outbox_row_not_operable', status: 409, outbox_id: row.id }
    for (const run of [() => operate.requeue(row.id, {}), () => operate.drop(row.id)]) {
      expect(await problemOf(run)).toMatchObject({ ...refusal, detail: expect.stringContaining('is inflight') })
    }
    opened.outbox.settle([acceptedBy(row.id)])
    expect(await problemOf(() => operate.requeue(row.id, {}))).toMatchObject(refusal)
  })
})

describe('drop and prune', () => {
  it('end a row and later delete it, after which its id is free', async () => {
    const id = await deadRow()
    expect(operate.drop(id).row).toMatchObject({ status: 'aborted', superseded_by: null })
    expect(await operate.prune({ older_than_ms: 1 })).toEqual({ pruned: 0 })
    expect(await operate.prune({ status: ['dead'] })).toEqual({ pruned: 0 })
    expect(await operate.prune({})).toEqual({ pruned: 1 })
    expect(opened.outbox.getByClientMessageId('old')).toBeNull()
  })

  it('prune as many as there are, in batches', async () => {
    const count = 2 * sweepRowsMax + 1
    await Promise.all(Array.from({ length: count }, () => opened.outbox.accept(draftOf(opened.runtime))))
    const o = { now: opened.runtime.now() + 2, maxAgeMs: 1 }
    while (opened.outbox.expire(o) > 0);
    expect(await operate.prune({ status: ['dead', 'aborted', 'dead'] })).toEqual({ pruned: count })
    expect(opened.outbox.counts()).toEqual({ pending: 0, inflight: 0, done: 0, dead: 0, aborted: 0 })
  })
})

function patchOf(fields: object): RequeueRequest {
  return { patch_payload: { to: 'bob', message: 'second', ...fields } }
}
