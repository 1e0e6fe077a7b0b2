import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { findParamsFault, findResultFault, isOperation, type Operation } from './requests.ts'

const memberId = 'ab'.repeat(32)
const ulid = '01JD8Z6K3V0000000000000000'
const topic = { name: 'alerts', subscribers: 2, subscribed: true, created_at: 1_700_000_000_000 }
const message = {
  broker_message_id: ulid,
  history_id: '1',
  client_message_id: 'c-1',
  sender: memberId,
  destination: { kind: 'dm', ref: memberId },
  reply_to: null,
  priority: 'next',
  sealed: 'AAAA',
  accepted_at: 1_700_000_000_000,
}
const queue = {
  name: 'builds',
  consumers: 2,
  consuming: true,
  max_deliveries: 20,
  waiting: 1,
  leased: 0,
  dead: 0,
  created_at: 1_700_000_000_000,
}
const leased = { ...message, lease_id: ulid, lease_until: 1_700_000_000_000, deliveries: 1 }
const dead = { ...message, deliveries: 20, consumer: memberId, died_at: 1_700_000_000_000, reason: 'lease_over' }
const settled = { broker_message_id: ulid, lease_id: ulid }
const revocations = {
  mesh_id: ulid,
  number: 1,
  revoked_members: [{ member_id: memberId, at: 1_700_000_000_000, reason: 'laptop lost' }],
  revoked_invites: [{ invite_id: ulid, at: 1_700_000_000_000 }],
  issued_at: 1_700_000_000_000,
  issuer_key: memberId,
  signature: 'A'.repeat(86),
}

const noHead = { seq: 0, event_id: null }
const lease = { holder: memberId, epoch: 3, expires_in_ms: 12_000, head: { seq: 7, event_id: ulid } }
const append = {
  space: 'plans',
  epoch: 3,
  after: 7,
  head: { seq: 9, event_id: ulid },
  client_message_id: 'append-1',
  wire_fingerprint: 'a'.repeat(64),
  recipients_epoch: 2,
  sealed: 'AA==',
}

interface Row {
  readonly params: { readonly good: readonly unknown[]; readonly bad: readonly unknown[] }
  readonly result: { readonly good: readonly unknown[]; readonly bad: readonly unknown[] }
}
const notAnObject = [null, undefined, 'x', 7]

const rows: Record<Operation, Row> = {
  'members.list': {
    params: {
      good: [{ limit: 1 }, { limit: 256, after: memberId }],
      bad: [{}, { limit: 0 }, { limit: 257 }, { limit: 1, after: 'ada' }, { limit: 1, extra: 1 }],
    },
    result: { good: [{ members: [], next: null }], bad: [{}, { members: [] }, { members: [{}], next: null }] },
  },
  'topics.list': {
    params: {
      good: [{ limit: 10 }, { limit: 10, after: 'alerts' }],
      bad: [{ limit: '10' }, { limit: 10, after: 'Alerts' }],
    },
    result: {
      good: [{ topics: [topic], next: 'alerts' }],
      bad: [{ topics: [{ ...topic, subscribers: -1 }], next: null }],
    },
  },
  'topics.subscribe': {
    params: { good: [{ topic: 'alerts' }], bad: [{}, { topic: '#alerts' }, { topic: 'alerts', extra: 1 }] },
    result: { good: [{ topic }], bad: [{}, { topic: 'alerts' }] },
  },
  'topics.unsubscribe': {
    params: { good: [{ topic: 'alerts' }], bad: [{}, { topic: '' }] },
    result: { good: [{ topic }], bad: [{}] },
  },
  'topics.recipients': {
    params: { good: [{ topic: 'alerts' }], bad: [{}, { topic: '#alerts' }, { topic: 'alerts', limit: 1 }] },
    result: {
      good: [
        { recipients_epoch: 0, members: [] },
        { recipients_epoch: 7, members: [memberId] },
      ],
      bad: [
        { members: [] },
        { recipients_epoch: -1, members: [] },
        { recipients_epoch: 1, members: ['ada'] },
        { recipients_epoch: 1, members: Array(513).fill(memberId) },
      ],
    },
  },
  'members.leave': {
    params: { good: [{}], bad: [{ member_id: memberId }] },
    result: { good: [{}], bad: [] },
  },
  'revocations.get': {
    params: { good: [{}], bad: [{ number: 1 }] },
    result: {
      good: [
        { list: null, chain: [] },
        { list: revocations, chain: [] },
      ],
      bad: [{}, { list: null }, { list: { ...revocations, number: 0 }, chain: [] }],
    },
  },
  'revocations.put': {
    params: {
      good: [{ list: revocations, chain: [] }],
      bad: [{}, { list: null, chain: [] }, { list: revocations }, { list: revocations, chain: [{}] }],
    },
    result: { good: [{ number: 1 }], bad: [{}, { number: 0 }] },
  },
  'profile.set': {
    params: {
      good: [
        { summary: null, activity: null, visible: true },
        { summary: 's', activity: 'a', visible: false },
      ],
      bad: [
        {},
        { summary: 'x'.repeat(513), activity: null, visible: true },
        { summary: null, activity: null, visible: 'yes' },
      ],
    },
    result: { good: [{}, { later: 1 }], bad: [] },
  },
  'receipts.read': {
    params: {
      good: [
        { items: [{ broker_message_id: ulid, at: 0 }] },
        { items: Array(256).fill({ broker_message_id: ulid, at: 1_700_000_000_000 }) },
      ],
      bad: [
        {},
        { items: [] },
        { items: Array(257).fill({ broker_message_id: ulid, at: 1 }) },
        { items: [{ broker_message_id: ulid }] },
        { items: [{ broker_message_id: 'x', at: 1 }] },
        { items: [{ broker_message_id: ulid, at: -1 }] },
        { items: [{ broker_message_id: ulid, at: Number.MAX_SAFE_INTEGER }] },
        { items: [{ broker_message_id: ulid, at: 1, recipient: memberId }] },
      ],
    },
    result: { good: [{}, { later: 1 }], bad: [] },
  },
  'queues.list': {
    params: {
      good: [{ limit: 1 }, { limit: 256, after: 'builds' }],
      bad: [{}, { limit: 0 }, { limit: 257 }, { limit: 1, after: 'queue:builds' }],
    },
    result: {
      good: [{ queues: [queue], next: 'builds' }],
      bad: [{ queues: [{ ...queue, dead: -1 }], next: null }, { queues: [] }],
    },
  },
  'queues.consume': {
    params: {
      good: [{ queue: 'builds' }, { queue: 'builds', max_deliveries: 1_000 }],
      bad: [{}, { queue: '' }, { queue: 'builds', max_deliveries: 0 }, { queue: 'builds', max_deliveries: 1_001 }],
    },
    result: { good: [{ queue }], bad: [{}, { queue: 'builds' }] },
  },
  'queues.leave': {
    params: { good: [{ queue: 'builds' }], bad: [{}, { queue: 'Builds' }, { queue: 'builds', extra: 1 }] },
    result: { good: [{ queue }], bad: [{}] },
  },
  'queues.recipients': {
    params: { good: [{ queue: 'builds' }], bad: [{}, { topic: 'builds' }] },
    result: {
      good: [
        { recipients_epoch: 0, members: [] },
        { recipients_epoch: 3, members: [memberId] },
      ],
      bad: [{ members: [] }, { recipients_epoch: 1, members: Array(513).fill(memberId) }],
    },
  },
  'queues.take': {
    params: {
      good: [
        { queue: 'builds', limit: 1, lease_ms: 1_000, wait_ms: 0 },
        { queue: 'builds', limit: 32, lease_ms: 43_200_000, wait_ms: 30_000 },
      ],
      bad: [
        { queue: 'builds', limit: 33, lease_ms: 1_000, wait_ms: 0 },
        { queue: 'builds', limit: 1, lease_ms: 999, wait_ms: 0 },
        { queue: 'builds', limit: 1, lease_ms: 43_200_001, wait_ms: 0 },
        { queue: 'builds', limit: 1, lease_ms: 1_000, wait_ms: 30_001 },
        { queue: 'builds', limit: 1, lease_ms: 1_000 },
      ],
    },
    result: {
      good: [{ items: [] }, { items: [leased] }],
      bad: [{}, { items: [message] }, { items: [{ ...leased, deliveries: 0 }] }],
    },
  },
  'queues.untake': {
    params: {
      good: [{ queue: 'builds', lease_id: ulid }],
      bad: [{}, { queue: 'builds' }, { lease_id: ulid }, { queue: '#builds', lease_id: ulid }],
    },
    result: { good: [{}], bad: [null] },
  },
  'queues.settle': {
    params: {
      good: [
        { items: [{ ...settled, action: 'ack' }] },
        { items: [{ ...settled, action: 'nack' }] },
        { items: Array(256).fill({ ...settled, action: 'nack', delay_ms: 604_800_000, reason: 'x'.repeat(64) }) },
        { items: [{ ...settled, action: 'extend', lease_ms: 60_000 }] },
      ],
      bad: [
        { items: [] },
        { items: Array(257).fill({ ...settled, action: 'ack' }) },
        { items: [{ ...settled, action: 'done' }] },
        { items: [{ ...settled, action: 'ack', delay_ms: 1 }] },
        { items: [{ ...settled, action: 'nack', delay_ms: 604_800_001 }] },
        { items: [{ ...settled, action: 'nack', reason: 'x'.repeat(65) }] },
        { items: [{ ...settled, action: 'extend' }] },
        { items: [{ broker_message_id: ulid, action: 'ack' }] },
      ],
    },
    result: {
      good: [
        { items: [{ broker_message_id: ulid, outcome: 'done' }] },
        { items: [{ broker_message_id: ulid, outcome: 'extended', lease_until: 1 }] },
      ],
      bad: [{}, { items: [{ broker_message_id: ulid }] }, { items: [{ broker_message_id: ulid, outcome: 'ack' }] }],
    },
  },
  'queues.dead': {
    params: {
      good: [
        { queue: 'builds', limit: 32 },
        { queue: 'builds', limit: 1, after: '12' },
      ],
      bad: [{ queue: 'builds' }, { queue: 'builds', limit: 33 }, { queue: 'builds', limit: 1, after: 'x' }],
    },
    result: {
      good: [{ items: [dead], next: '1' }],
      bad: [{ items: [dead] }, { items: [{ ...dead, reason: null }], next: null }],
    },
  },
  'queues.requeue': {
    params: {
      good: [{ queue: 'builds', broker_message_ids: [ulid] }],
      bad: [
        { queue: 'builds' },
        { queue: 'builds', broker_message_ids: [] },
        { queue: 'builds', broker_message_ids: ['x'] },
      ],
    },
    result: { good: [{ requeued: 0 }], bad: [{}, { requeued: -1 }] },
  },
  'queues.drop': {
    params: {
      good: [{ queue: 'builds', broker_message_ids: Array(256).fill(ulid) }],
      bad: [{ queue: 'builds', broker_message_ids: Array(257).fill(ulid) }],
    },
    result: { good: [{ dropped: 1 }], bad: [{}, { dropped: '1' }] },
  },
  'blobs.upload': {
    params: {
      good: [{ address: `blake3:${'a'.repeat(64)}`, size_bytes: 1, recipients: [memberId], expires_at: 1 }],
      bad: [
        { address: `blake3:${'a'.repeat(64)}`, size_bytes: 0, recipients: [memberId], expires_at: 1 },
        { address: `blake3:${'A'.repeat(64)}`, size_bytes: 1, recipients: [memberId], expires_at: 1 },
        { address: `sha256:${'a'.repeat(64)}`, size_bytes: 1, recipients: [memberId], expires_at: 1 },
        { address: `blake3:${'a'.repeat(64)}`, size_bytes: 1, recipients: [], expires_at: 1 },
        { address: `blake3:${'a'.repeat(64)}`, size_bytes: 1, recipients: [memberId, memberId], expires_at: 1 },
      ],
    },
    result: {
      good: [{ ticket: 'a.b', ticket_expires_at: 1, expires_at: 2, stored: false }],
      bad: [{}, { ticket: 'a b', ticket_expires_at: 1, expires_at: 2, stored: false }],
    },
  },
  'blobs.download': {
    params: {
      good: [{ address: `blake3:${'a'.repeat(64)}`, size_bytes: 1 }],
      bad: [{ address: `blake3:${'a'.repeat(64)}` }, { address: '../etc/passwd', size_bytes: 1 }],
    },
    result: { good: [{ ticket: 'a.b', ticket_expires_at: 1, expires_at: 2 }], bad: [{}, { ticket: '' }] },
  },
  'blobs.acknowledge': {
    params: { good: [{ address: `blake3:${'a'.repeat(64)}` }], bad: [{}, { address: 'blake3:' }] },
    result: { good: [{}], bad: [null] },
  },
  'spaces.lease': {
    params: { good: [{ space: 'plans' }], bad: [{}, { space: 'a'.repeat(59) }, { space: 'Plans' }] },
    result: { good: [{ lease }], bad: [{}, { lease: { ...lease, head: {} } }] },
  },
  'spaces.acquire': {
    params: {
      good: [{ space: 'plans', head: noHead, term_ms: 15_000 }],
      bad: [
        { space: 'plans', head: noHead },
        { space: 'plans', head: { seq: 1 }, term_ms: 15_000 },
      ],
    },
    result: { good: [{ granted: false, lease }], bad: [{ granted: true }] },
  },
  'spaces.renew': {
    params: {
      good: [{ space: 'plans', epoch: 1, term_ms: 1_000 }],
      bad: [
        { space: 'plans', epoch: 0, term_ms: 1_000 },
        { space: 'plans', epoch: 1, term_ms: 999 },
        { space: 'plans', epoch: 1, term_ms: 60_001 },
      ],
    },
    result: { good: [{ lease }], bad: [null] },
  },
  'spaces.release': {
    params: { good: [{ space: 'plans', epoch: 1 }], bad: [{ space: 'plans' }] },
    result: { good: [{}], bad: [null] },
  },
  'spaces.append': {
    params: {
      good: [append],
      bad: [
        { ...append, after: -1 },
        { ...append, sealed: 7 },
        { ...append, wire_fingerprint: '' },
      ],
    },
    result: { good: [{ broker_message_id: ulid }], bad: [{}] },
  },
  'history.page': {
    params: {
      good: [
        { since: 0, limit: 1 },
        { since: 0, limit: 1, after: '12' },
      ],
      bad: [
        { limit: 1 },
        { since: -1, limit: 1 },
        { since: 0, limit: 1, after: '-1' },
        { since: 0, limit: 1, after: 12 },
      ],
    },
    result: {
      good: [{ messages: [message], next: null }],
      bad: [{ messages: [{ ...message, sealed: 7 }], next: null }],
    },
  },
}

describe.each(Object.entries(rows))('%s', (op, row) => {
  const operation = op as Operation
  test('takes its parameters and its result', () => {
    for (const params of row.params.good) expect(findParamsFault(operation, params)).toBeNull()
    for (const result of row.result.good) expect(findResultFault(operation, result)).toBeNull()
  })

  test('names the fault in others', () => {
    for (const params of [...row.params.bad, ...notAnObject]) {
      expect(findParamsFault(operation, params), JSON.stringify(params)).toMatch(/./)
    }
    for (const result of [...row.result.bad, ...notAnObject]) {
      expect(findResultFault(operation, result), JSON.stringify(result)).toMatch(/./)
    }
  })
})

test('an operation is one of the table', () => {
  for (const op of Object.keys(rows)) expect(isOperation(op)).toBe(true)
  for (const op of ['', 'members.drop', 'toString', '__proto__']) expect(isOperation(op)).toBe(false)
})

test('whatever the parameters are, they are judged without throwing and in one short sentence', () => {
  const operation = fc.constantFrom(...(Object.keys(rows) as Operation[]))
  fc.assert(
    fc.property(operation, fc.anything(), (op, value) => {
      for (const fault of [findParamsFault(op, value), findResultFault(op, value)]) {
        expect(fault?.length ?? 0).toBeLessThanOrEqual(512)
      }
    }),
  )
})
