import { decodeEnvelope, MeshError, requestFingerprint, type SendRequest } from '@claudemesh/protocol'
import type { DiskPressure } from '@claudemesh/storage'
import { beforeEach, describe, expect, it } from 'vitest'
import { acceptedBy, claimAll, type OpenOutbox, refusalOf, temporaryOutbox } from '../../../../test/support/outbox.ts'
import { messageBytesMax } from '../limits.ts'
import { AcceptSend, type AcceptSendOptions } from './accept-send.ts'
import type { SendAnswer } from './accept-table.ts'
import type { MemberFacts, MemberLookup } from './resolve.ts'

const alice = 'a'.repeat(64)
const bob = 'b'.repeat(64)
const bobToo = 'c'.repeat(64)
const carol = 'd'.repeat(64)

/** A directory that a test writes by hand. */
class Directory implements MemberLookup {
  members: MemberFacts[] = []
  topicNames: string[] = []
  membersReadAt: number | null = 1
  topicsReadAt: number | null = 1

  findById = (memberId: string) => this.members.find((member) => member.memberId === memberId) ?? null
  findByName = (name: string) => this.members.filter((member) => member.name === name)
  nearNames = (name: string) => this.members.map((member) => member.name).filter((other) => other[0] === name[0])
  findTopic = (name: string) => (this.topicNames.includes(name) ? { name } : null)
  nearTopics = () => this.topicNames
  syncedAt = () => this.membersReadAt
  topicsSyncedAt = () => this.topicsReadAt
}

let opened: OpenOutbox
let directory: Directory
let accept: AcceptSend
let pressure: DiskPressure
let inlineBytes: number
let refresh: () => Promise<void>
let preSend: ReturnType<AcceptSendOptions['preSend']>
let wakes: number
let refreshes: number

const member = (memberId: string, name: string, status: 'active' | 'revoked' = 'active') => ({ memberId, name, status })

beforeEach(async () => {
  opened = await temporaryOutbox()
  directory = new Directory()
  directory.members = [member(alice, 'alice'), member(bob, 'bob')]
  directory.topicNames = ['news']
  pressure = 'ok'
  preSend = null
  inlineBytes = 1_024
  wakes = 0
  refreshes = 0
  refresh = () => Promise.reject(new MeshError('broker_unavailable'))
  accept = new AcceptSend({
    outbox: opened.outbox,
    members: directory,
    refreshDirectory: () => {
      refreshes += 1
      return refresh()
    },
    inlineBytes: () => inlineBytes,
    diskPressure: () => pressure,
    preSend: () => preSend,
    runtime: opened.runtime,
    wake: () => {
      wakes += 1
    },
  })
})

const post = (request: Partial<SendRequest>, key: string | null = null): Promise<SendAnswer> =>
  accept.accept({ to: '@bob', message: 'hello', ...request }, key)

async function problemOf(
  answer: Promise<unknown>,
): Promise<{ code: string; status: number } & Record<string, unknown>> {
  try {
    await answer
  } catch (error) {
    if (error instanceof MeshError) return { ...error.data, code: error.code, status: error.status }
    throw error
  }
  throw new Error('it was accepted')
}

const rowCount = () => opened.outbox.list({ status: null, after: null, limit: 500 })?.length

describe('an accepted send', () => {
  it('carries its trace sealed with it, and a retry under another span is the same send', async () => {
    const trace = { traceparent: `00-${'a'.repeat(32)}-${'1'.repeat(16)}-01`, tracestate: 'a=1' }
    const request: SendRequest = { to: '@bob', message: 'hello', meta: { build: 7 } }
    const first = await accept.accept(request, 'traced', trace)
    const retry = await accept.accept(request, 'traced', { ...trace, traceparent: trace.traceparent.replace('1', '2') })
    expect(retry).toEqual(first)
    expect((await accept.accept(request, 'traced')).body).toEqual(first.body)
    const row = opened.outbox.get(first.body.outbox_id)
    expect(decodeEnvelope(row?.payload ?? Buffer.alloc(0))?.meta).toEqual({
      $traceparent: trace.traceparent,
      $tracestate: 'a=1',
      build: 7,
    })
    const untraced = await accept.accept(request, 'untraced')
    expect(opened.outbox.get(untraced.body.outbox_id)?.requestFingerprint).toEqual(row?.requestFingerprint)
  })

  it('is on disk when the answer is given, and the sender knows', async () => {
    const answer = await post({ client_message_id: 'mine' })
    expect(answer).toEqual({
      httpStatus: 202,
      body: {
        status: 'queued',
        state: 'queued',
        client_message_id: 'mine',
        outbox_id: expect.any(String),
      },
    })
    expect(wakes).toBe(1)
    expect(opened.reopen().get(answer.body.outbox_id)).toMatchObject({
      status: 'pending',
      destinationKind: 'dm',
      destinationRef: bob,
      priority: 'next',
      receipts: true,
    })
  })

  it('keeps everything of the request, and its fingerprint is that of the contract', async () => {
    const replyToId = opened.runtime.nextId()
    const { body } = await post({
      message: 'grüße',
      meta: { b: 1, a: [true, null] },
      contentType: 'text/markdown',
      mentions: ['@alice', bob, 'alice'],
      priority: 'now',
      receipts: false,
      replyToId,
    })
    const row = opened.outbox.get(body.outbox_id)
    expect(row).toMatchObject({ priority: 'now', receipts: false, replyToId, mentions: [alice, bob], messageBytes: 7 })
    const opened_ = decodeEnvelope(row?.payload ?? Buffer.alloc(0))
    expect(opened_?.body.toString()).toBe('grüße')
    expect(opened_?.meta).toEqual({
      a: [true, null],
      b: 1,
      $contentType: 'text/markdown',
      $mentions: [alice, bob],
    })
    const expected = requestFingerprint({
      destination: { kind: 'dm', ref: bob },
      replyToId,
      priority: 'now',
      metaCanonicalJson: `{"$contentType":"text/markdown","$mentions":["${alice}","${bob}"],"a":[true,null],"b":1}`,
      body: Buffer.from('grüße'),
    })
    expect(row?.requestFingerprint).toEqual(expected)
  })

  it('takes its id from the header before the field, quoted or bare, and mints one otherwise', async () => {
    expect((await post({ client_message_id: 'field' }, '"the header"'.replace(' ', '-'))).body.client_message_id).toBe(
      'the-header',
    )
    expect((await post({ client_message_id: 'field' }, 'bare')).body.client_message_id).toBe('bare')
    expect((await post({ client_message_id: 'field' })).body.client_message_id).toBe('field')
    expect((await post({})).body.client_message_id).toMatch(/^[0-9A-HJKMNP-TV-Z]{26}$/)
  })

  it('does not wake the sender for a retry', async () => {
    await post({}, 'k')
    await post({}, 'k')
    expect(wakes).toBe(1)
    expect(rowCount()).toBe(1)
  })

  it('goes to a topic by either route as the same send', async () => {
    const one = await post({ to: '#news' }, 'k')
    const { body } = await accept.acceptTopicPost({ topic: 'news', message: 'hello' }, 'k')
    expect(body.outbox_id).toBe(one.body.outbox_id)
    const other = await accept.acceptTopicPost({ topic: '#news', message: 'hello' }, 'k')
    expect(other.body.outbox_id).toBe(one.body.outbox_id)
  })
})

const deep = (levels: number): Record<string, unknown> => (levels === 0 ? {} : { in: deep(levels - 1) })

/** Requests that are wrong in themselves: code, status, field. */
const refused: readonly (readonly [string, Partial<SendRequest>, string | null, string, number, string])[] = [
  ['an empty key', {}, '', 'invalid_client_message_id', 400, 'Idempotency-Key'],
  ['a key with a space', {}, 'a b', 'invalid_client_message_id', 400, 'Idempotency-Key'],
  ['an unfinished quoted key', {}, '"a', 'invalid_client_message_id', 400, 'Idempotency-Key'],
  ['a key of 256 characters', {}, 'k'.repeat(256), 'invalid_client_message_id', 400, 'Idempotency-Key'],
  ['an empty id', { client_message_id: '' }, null, 'invalid_client_message_id', 400, 'client_message_id'],
  ['an id beyond ASCII', { client_message_id: 'é' }, null, 'invalid_client_message_id', 400, 'client_message_id'],
  ['U+0000 in the message', { message: 'a\u0000b' }, null, 'invalid_text', 400, 'message'],
  ['a lone surrogate in the message', { message: '\ud800' }, null, 'invalid_text', 400, 'message'],
  ['U+0000 in the content type', { contentType: 'a\u0000' }, null, 'invalid_text', 400, 'contentType'],
  ['a reserved key in meta', { meta: { $files: [] } }, null, 'invalid_meta', 400, 'meta'],
  ['U+0000 deep in meta', { meta: { a: [{ b: '\u0000' }] } }, null, 'invalid_meta', 400, 'meta'],
  ['U+0000 in a key of meta', { meta: { 'a\u0000': 1 } }, null, 'invalid_meta', 400, 'meta'],
  ['meta nested too deep', { meta: deep(16) }, null, 'invalid_meta', 400, 'meta'],
  ['meta too large', { meta: { a: 'x'.repeat(16 * 1024) } }, null, 'invalid_meta', 400, 'meta'],
  ['a number that JSON cannot carry', { meta: { a: Infinity } }, null, 'invalid_meta', 400, 'meta'],
  ['a malformed recipient', { to: '@' }, null, 'invalid_destination', 400, 'to'],
  ['a malformed topic', { to: '#No Topic' }, null, 'invalid_destination', 400, 'to'],
  ['a malformed queue', { to: 'queue:No Queue' }, null, 'invalid_destination', 400, 'to'],
  ['a topic as mention', { mentions: ['alice', '#news'] }, null, 'invalid_destination', 400, 'mentions/1'],
  ['an unknown mention', { mentions: ['alice', 'zoe'] }, null, 'recipient_unknown', 404, 'mentions/1'],
  ['an unknown member id', { to: carol }, null, 'recipient_unknown', 404, 'to'],
  ['a message too large', { message: 'x'.repeat(1_025) }, null, 'payload_too_large', 413, 'message'],
]

describe('a send is refused, stores nothing and leaves its id free, for', () => {
  for (const [name, request, header, code, status, field] of refused) {
    it(`${name}: ${status} ${code}`, async () => {
      expect(await problemOf(post(request, header))).toMatchObject({ code, status, field })
      expect(rowCount()).toBe(0)
    })
  }

  it('a malformed topic of a topic post, naming the field of that route', async () => {
    const answer = accept.acceptTopicPost({ topic: 'No Topic', message: '' }, null)
    expect(await problemOf(answer)).toMatchObject({ code: 'invalid_destination', field: 'topic' })
  })

  it('a full disk: 507, and the same request is accepted when there is room', async () => {
    pressure = 'full'
    expect(await problemOf(post({}, 'k'))).toMatchObject({ code: 'insufficient_storage', status: 507 })
    expect(rowCount()).toBe(0)
    pressure = 'high'
    expect((await post({}, 'k')).httpStatus).toBe(202)
  })

  it('a message that no frame could carry, whatever the broker allows', async () => {
    inlineBytes = Number.MAX_SAFE_INTEGER
    const message = 'x'.repeat(messageBytesMax + 1)
    expect(await problemOf(post({ message }))).toMatchObject({ code: 'payload_too_large' })
    expect((await post({ message: message.slice(1) })).httpStatus).toBe(202)
  })
})

describe('a name', () => {
  it('that is not known is looked up once more in a directory read again', async () => {
    refresh = async () => {
      directory.members.push(member(carol, 'carol'))
    }
    const { body } = await post({ to: '@carol' })
    expect(opened.outbox.get(body.outbox_id)?.destinationRef).toBe(carol)
    expect(refreshes).toBe(1)
  })

  it('that nobody has is answered with names like it, whether or not the broker can be asked', async () => {
    const unknown = { code: 'recipient_unknown', status: 404, field: 'to', near: ['bob'] }
    expect(await problemOf(post({ to: 'bobby' }))).toMatchObject(unknown)
    refresh = () => Promise.resolve()
    expect(await problemOf(post({ to: 'bobby' }))).toMatchObject(unknown)
    expect(await problemOf(post({ to: '#old' }))).toMatchObject({ code: 'topic_unknown', near: ['news'] })
  })

  it('that is asked for many times at once costs one question to the broker', async () => {
    let release: (() => void) | undefined
    refresh = () =>
      new Promise((resolve) => {
        release = resolve
      })
    const answers = Array.from({ length: 20 }, () => problemOf(post({ to: 'zoe' })))
    await Promise.resolve()
    release?.()
    await Promise.all(answers)
    expect(refreshes).toBe(1)
  })

  it('that several have is answered with all of them', async () => {
    directory.members.push(member(bobToo, 'bob'))
    const problem = await problemOf(post({ to: 'bob' }))
    expect(problem).toMatchObject({ code: 'recipient_ambiguous', status: 409, candidates: [bob, bobToo] })
    expect((await post({ to: bobToo })).httpStatus).toBe(202)
    directory.members = [member(bob, 'bob', 'revoked'), member(bobToo, 'bob')]
    expect((await post({ to: 'bob' })).httpStatus).toBe(202)
  })

  it('of a revoked member is refused by name and by id', async () => {
    directory.members = [member(bob, 'bob', 'revoked')]
    for (const to of ['bob', bob]) {
      expect(await problemOf(post({ to }))).toMatchObject({ code: 'member_revoked', status: 403, member_id: bob })
    }
  })

  it('that is its own reference is taken at its word while the directory was never read', async () => {
    directory.membersReadAt = null
    directory.topicsReadAt = null
    directory.members = []
    expect((await post({ to: carol })).httpStatus).toBe(202)
    expect((await post({ to: '#any' })).httpStatus).toBe(202)
    expect(await problemOf(post({ to: 'carol' }))).toMatchObject({ code: 'recipient_unknown' })
  })
})

/** What may have changed between a send and its retry, without making the retry another send. */
const changes: readonly (readonly [string, () => void])[] = [
  [
    'its recipient is in no directory any more',
    () => {
      directory.members = [member(alice, 'alice')]
    },
  ],
  [
    'its recipient was revoked',
    () => {
      directory.members = [member(alice, 'alice'), member(bob, 'bob', 'revoked')]
    },
  ],
  ['its recipient shares the name now', () => directory.members.push(member(bobToo, 'bob'))],
  [
    'a mentioned member is gone',
    () => {
      directory.members = [member(bob, 'bob')]
    },
  ],
  [
    'the broker takes less inline',
    () => {
      inlineBytes = 1
    },
  ],
  [
    'the disk is full',
    () => {
      pressure = 'full'
    },
  ],
]

describe('a retry is answered by the table although', () => {
  for (const [name, change] of changes) {
    it(name, async () => {
      const request = { mentions: ['alice'], meta: { n: 1 } }
      const first = await post(request, 'k')
      change()
      expect(await post(request, 'k')).toEqual(first)
      const mismatch = await problemOf(post({ ...request, message: 'other' }, 'k'))
      expect(mismatch).toMatchObject({ status: 409, conflict: 'outbox_pending_fingerprint_mismatch' })
      claimAll(opened)
      opened.outbox.settle([acceptedBy(first.body.outbox_id)])
      expect(await post(request, 'k')).toMatchObject({ httpStatus: 200, body: { duplicate: true } })
      expect(rowCount()).toBe(1)
    })
  }

  it('but other names that lead nowhere are a 404, whatever the id', async () => {
    await post({}, 'k')
    expect(await problemOf(post({ to: '@nobody' }, 'k'))).toMatchObject({ code: 'recipient_unknown' })
    expect(opened.outbox.getByClientMessageId('k')?.status).toBe('pending')
  })
})

describe('where somebody is to be asked before', () => {
  const asked: unknown[] = []
  beforeEach(() => {
    asked.length = 0
    preSend = async ({ request, destination }) => {
      asked.push([request.message, destination.ref])
      if (request.message === 'no') throw new MeshError('pre_send_refused')
    }
  })

  it('a new send is asked about once, and its retries are not', async () => {
    for (let times = 0; times < 3; times += 1) await post({ message: 'yes', client_message_id: 'k' })
    expect(asked).toEqual([['yes', bob]])
  })

  it('what is refused stores nothing and leaves its id free', async () => {
    expect(await problemOf(post({ message: 'no', client_message_id: 'k' }))).toMatchObject({ code: 'pre_send_refused' })
    expect([opened.outbox.getByClientMessageId('k'), wakes]).toEqual([null, 0])
    expect(await post({ message: 'yes', client_message_id: 'k' })).toMatchObject({ httpStatus: 202 })
  })

  it('what is wrong in itself is not asked about', async () => {
    await problemOf(post({ to: '@nobody', message: 'yes' }))
    expect(asked).toEqual([])
  })
})

describe('waiting', () => {
  const wait = (
    answer: SendAnswer,
    o: { until?: 'accepted' | 'delivered' | 'read'; waitMs?: number; signal?: AbortSignal },
  ) =>
    accept.awaitState(answer, {
      waitMs: o.waitMs ?? 20_000,
      until: o.until ?? 'accepted',
      signal: o.signal ?? new AbortController().signal,
    })
  const receipt = (clientMessageId: string, recipient: string, state: 'delivered' | 'read' | 'undeliverable') => ({
    delivery_id: '1',
    broker_message_id: acceptedBy('').brokerMessageId,
    client_message_id: clientMessageId,
    recipient,
    state,
    at: 1,
    ...(state === 'undeliverable' ? { reason: 'expired' } : {}),
  })

  it('ends when the broker has accepted', async () => {
    const answer = await post({})
    const waiting = wait(answer, {})
    claimAll(opened)
    opened.outbox.settle([acceptedBy(answer.body.outbox_id)])
    expect(await waiting).toMatchObject({
      httpStatus: 200,
      body: { status: 'done', state: 'accepted', history_id: '1' },
    })
  })

  it('ends when the send is dead, and says why', async () => {
    const answer = await post({})
    const waiting = wait(answer, { until: 'delivered' })
    claimAll(opened)
    opened.outbox.settle([refusalOf(answer.body.outbox_id)])
    expect(await waiting).toMatchObject({
      httpStatus: 200,
      body: { status: 'dead', last_error: refusalOf('').lastError },
    })
  })

  it('ends when every recipient has the message, and not before', async () => {
    const answer = await post({ to: '#news' })
    const { client_message_id: key, outbox_id: id } = answer.body
    let ended = false
    const waiting = wait(answer, { until: 'delivered' }).finally(() => {
      ended = true
    })
    claimAll(opened)
    opened.outbox.settle([{ ...acceptedBy(id), recipientCount: 2 }])
    opened.outbox.recordReceipts([receipt(key, alice, 'delivered')])
    await Promise.resolve()
    expect(ended).toBe(false)
    opened.outbox.recordReceipts([receipt(key, bob, 'read')])
    const { body } = await waiting
    expect(body).toMatchObject({ state: 'delivered', recipient_count: 2 })
    expect(body.receipts).toHaveLength(2)
  })

  it('ends when the last recipient cannot get it', async () => {
    const answer = await post({})
    const waiting = wait(answer, { until: 'read' })
    claimAll(opened)
    opened.outbox.settle([acceptedBy(answer.body.outbox_id)])
    opened.outbox.recordReceipts([receipt(answer.body.client_message_id, bob, 'undeliverable')])
    expect(await waiting).toMatchObject({ body: { state: 'undeliverable', receipts: [{ reason: 'expired' }] } })
  })

  it('does not wait for receipts that will not come', async () => {
    for (const [request, recipientCount] of [
      [{ receipts: false }, 1],
      [{ to: '#news' }, 0],
    ] as const) {
      const answer = await post(request)
      claimAll(opened)
      opened.outbox.settle([
        { ...acceptedBy(answer.body.outbox_id), brokerMessageId: opened.runtime.nextId(), recipientCount },
      ])
      expect(await wait(answer, { until: 'read' })).toMatchObject({ httpStatus: 200, body: { state: 'accepted' } })
    }
  })

  it('ends with the row as it is when the time is over or the caller has gone', async () => {
    const answer = await post({})
    expect(await wait(answer, { waitMs: 1 })).toEqual(answer)
    const gone = new AbortController()
    const waiting = wait(answer, { signal: gone.signal })
    gone.abort()
    expect(await waiting).toEqual(answer)
    expect(await wait(answer, { signal: gone.signal })).toEqual(answer)
  })
})
