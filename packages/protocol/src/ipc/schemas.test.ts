import type { TSchema } from 'typebox'
import { Compile } from 'typebox/compile'
import { describe, expect, test } from 'vitest'
import { eventsQuerySchema } from './events.ts'
import { heartbeatRequestSchema } from './health.ts'
import { inboxQuerySchema, inboxSearchQuerySchema, markRequestSchema } from './inbox.ts'
import { profileRequestSchema, topicRequestSchema } from './members.ts'
import { outboxQuerySchema, pruneRequestSchema, requeueRequestSchema } from './outbox.ts'
import {
  queueAckRequestSchema,
  queueConsumeRequestSchema,
  queueDeadQuerySchema,
  queueDeadSelectionSchema,
  queueExtendRequestSchema,
  queueNackRequestSchema,
  queueTakeRequestSchema,
} from './queues.ts'
import { sendBatchRequestSchema, sendQuerySchema, sendRequestSchema, topicPostRequestSchema } from './send.ts'

const ulid = '01JD8Z6K3V0000000000000000'
const lease = { id: ulid, lease_id: ulid }
const send = { to: '@ada', message: 'tests are green' }

interface Row {
  readonly name: string
  readonly schema: TSchema
  readonly accepted: readonly unknown[]
  readonly rejected: readonly unknown[]
}

const rows: readonly Row[] = [
  {
    name: 'POST /v1/send',
    schema: sendRequestSchema,
    accepted: [
      send,
      { ...send, message: '' },
      {
        ...send,
        priority: 'now',
        meta: { branch: 'main' },
        replyToId: ulid,
        mentions: ['ada'],
        contentType: 'text/plain',
        receipts: false,
        client_message_id: 'release-1',
      },
      { ...send, meta: null },
    ],
    rejected: [
      {},
      { to: '@ada' },
      { message: 'x' },
      { ...send, to: '' },
      { ...send, to: ['ada'] },
      { ...send, message: 7 },
      { ...send, priority: 'urgent' },
      { ...send, meta: 'x' },
      { ...send, meta: [1] },
      { ...send, replyToId: 'x' },
      { ...send, mentions: Array(65).fill('ada') },
      { ...send, mentions: [''] },
      { ...send, receipts: 'false' },
      { ...send, reply_to_id: ulid },
    ],
  },
  {
    name: 'POST /v1/topic/post',
    schema: topicPostRequestSchema,
    accepted: [
      { topic: 'alerts', message: 'x' },
      { topic: '#alerts', message: 'x' },
    ],
    rejected: [{ topic: '', message: 'x' }, { ...send, topic: 'alerts' }, { message: 'x' }],
  },
  {
    name: 'POST /v1/send/batch',
    schema: sendBatchRequestSchema,
    accepted: [[send], Array(256).fill(send), ['judged one by one']],
    rejected: [[], Array(257).fill(send), send],
  },
  {
    name: 'the query of a send',
    schema: sendQuerySchema,
    accepted: [{}, { wait: 0 }, { wait: 30_000, until: 'delivered' }],
    rejected: [{ wait: -1 }, { wait: 30_001 }, { wait: 1.5 }, { wait: '5' }, { until: 'queued' }, { token: 'x' }],
  },
  {
    name: 'the query of an inbox page',
    schema: inboxQuerySchema,
    accepted: [{}, { since: 0, after: ulid, topic: '#alerts', from: 'ada', unread: true, order: 'oldest', limit: 500 }],
    rejected: [{ limit: 0 }, { limit: 501 }, { since: -1 }, { order: 'random' }, { unread: 'yes' }, { token: 'x' }],
  },
  {
    name: 'a search',
    schema: inboxSearchQuerySchema,
    accepted: [{ q: 'green' }],
    rejected: [{}, { q: '' }, { q: 'x'.repeat(257) }],
  },
  {
    name: 'POST /v1/inbox/mark',
    schema: markRequestSchema,
    accepted: [{ ids: [ulid] }, { ids: [ulid], read: false }],
    rejected: [{ ids: [] }, { ids: ['x'] }, { ids: Array(501).fill(ulid) }, { ids: [ulid], read: 'no' }],
  },
  {
    name: 'the query of an outbox page',
    schema: outboxQuerySchema,
    accepted: [{}, { status: 'dead', after: ulid, limit: 1 }],
    rejected: [{ status: 'lost' }, { after: 'x' }],
  },
  {
    name: 'a requeue',
    schema: requeueRequestSchema,
    accepted: [{}, { new_client_id: 'auto', patch_payload: send, release_old_id: true }],
    rejected: [{ release_old_id: 'yes' }, { id: ulid }],
  },
  {
    name: 'a prune',
    schema: pruneRequestSchema,
    accepted: [{}, { status: ['dead', 'aborted'], older_than_ms: 0 }],
    rejected: [{ status: [] }, { status: ['done'] }, { status: 'dead' }, { older_than_ms: -1 }],
  },
  {
    name: 'POST /v1/profile',
    schema: profileRequestSchema,
    accepted: [{}, { summary: null, status: 'busy', visible: false }],
    rejected: [{ summary: 'x'.repeat(513) }, { visible: null }, { name: 'ada' }],
  },
  {
    name: 'a subscription',
    schema: topicRequestSchema,
    accepted: [{ topic: 'alerts' }],
    rejected: [{}, { topic: '' }, { topic: 'x'.repeat(66) }],
  },
  {
    name: 'consuming a queue',
    schema: queueConsumeRequestSchema,
    accepted: [{ queue: 'jobs' }, { queue: 'queue:jobs', max_deliveries: 1_000 }],
    rejected: [{}, { queue: '' }, { queue: 'jobs', max_deliveries: 0 }, { queue: 'jobs', max_deliveries: 1_001 }],
  },
  {
    name: 'taking work',
    schema: queueTakeRequestSchema,
    accepted: [{ queue: 'jobs' }, { queue: 'jobs', limit: 32, lease_ms: 43_200_000, wait_ms: 30_000 }],
    rejected: [
      { queue: 'jobs', limit: 33 },
      { queue: 'jobs', lease_ms: 999 },
      { queue: 'jobs', wait_ms: 30_001 },
    ],
  },
  {
    name: 'an acknowledgement of work',
    schema: queueAckRequestSchema,
    accepted: [{ items: [lease] }, { items: Array.from({ length: 256 }, () => lease) }],
    rejected: [
      { items: [] },
      { items: [{ id: ulid }] },
      { items: [{ ...lease, reason: 'x' }] },
      { items: Array.from({ length: 257 }, () => lease) },
    ],
  },
  {
    name: 'work that is given back',
    schema: queueNackRequestSchema,
    accepted: [{ items: [lease, { ...lease, delay_ms: 604_800_000, reason: 'x'.repeat(64) }] }],
    rejected: [{ items: [{ ...lease, delay_ms: -1 }] }, { items: [{ ...lease, reason: '' }] }],
  },
  {
    name: 'work that is kept',
    schema: queueExtendRequestSchema,
    accepted: [{ items: [{ ...lease, lease_ms: 1_000 }] }],
    rejected: [{ items: [lease] }],
  },
  {
    name: 'the query of dead work',
    schema: queueDeadQuerySchema,
    accepted: [{ queue: 'jobs' }, { queue: 'jobs', after: '7', limit: 32 }],
    rejected: [{}, { queue: 'jobs', after: ulid }, { queue: 'jobs', limit: 33 }],
  },
  {
    name: 'a selection of dead work',
    schema: queueDeadSelectionSchema,
    accepted: [{ queue: 'jobs', ids: [ulid] }],
    rejected: [{ queue: 'jobs' }, { queue: 'jobs', ids: [] }, { queue: 'jobs', ids: ['x'] }],
  },
  {
    name: 'the query of the events',
    schema: eventsQuerySchema,
    accepted: [{}, { since: '12', types: 'message,receipt' }],
    rejected: [{ since: 'x' }, { since: 12 }, { token: 'x' }],
  },
  {
    name: 'POST /v1/heartbeat',
    schema: heartbeatRequestSchema,
    accepted: [{ client: 'editor' }],
    rejected: [{}, { client: '' }, { client: 'x'.repeat(65) }],
  },
]

describe.each(rows)('$name', ({ schema, accepted, rejected }) => {
  const validator = Compile(schema)

  test('takes what it describes', () => {
    for (const value of accepted) expect(validator.Check(value), JSON.stringify(value)).toBe(true)
  })

  test('refuses what it does not, without coercing', () => {
    for (const value of [...rejected, null, 'x', 7]) expect(validator.Check(value), JSON.stringify(value)).toBe(false)
  })

  test('refuses a field that it does not know', () => {
    for (const value of accepted) {
      if (!Array.isArray(value)) expect(validator.Check({ ...(value as object), surplus: 1 })).toBe(false)
    }
  })
})
