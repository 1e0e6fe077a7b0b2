/** Scripts of what happens between outbox and broker, on clocks that the test moves. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { type Destination, decodeEnvelope, MeshError, type SendItem, type SendResult } from '@claudemesh/protocol'
import pino from 'pino'
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { draftOf, type OpenOutbox, openOutbox, sealPlainly } from '../../../../test/support/outbox.ts'
import { sendAnswerMsMax, sendBackoffMsBase, sendSweepMs } from '../limits.ts'
import type { ClaimOptions, OutboxDraft, SealableRow } from '../outbox/outbox.ts'
import { Sender, type SendWindow } from './sender.ts'

const hour = 3_600_000
const wide: SendWindow = { inflightMessages: 1_000, inflightBytes: 8_000_000, frameBytesMax: 1_048_576 }

let opened: OpenOutbox
let sender: Sender
let frames: (readonly SendItem[])[]
let takes: boolean
let warnings: string[]
let maxAgeMs: number
let stale: Destination[]
let seal: ClaimOptions['seal']

beforeEach(async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  opened = await openOutbox()
  frames = []
  takes = true
  warnings = []
  stale = []
  maxAgeMs = 144 * hour
  seal = sealPlainly
  sender = makeSender()
})

afterEach(async () => {
  const stopped = sender.stop()
  await pass(2_000)
  await stopped
  vi.useRealTimers()
  opened.remove()
})

function makeSender(): Sender {
  const log = pino({ level: 'warn' }, { write: (line: string) => warnings.push(JSON.parse(line).msg) })
  return new Sender({
    outbox: opened.outbox,
    seal: (row) => seal(row),
    // What a test seals in its own way is left to the claim.
    sealForKnown: (draft) => (seal === sealPlainly ? sealPlainly(draft) : null),
    transmit: (items) => {
      if (takes) frames.push(items)
      return takes
    },
    onRecipientsStale: (destination) => stale.push(destination),
    runtime: opened.runtime,
    log,
    maxAgeMs: () => maxAgeMs,
  })
}

/** Lets time go by, and everything happen that it brings: timers are the test's, turns of the event loop are real. */
async function pass(ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 25) {
    const step = Math.min(25, left)
    opened.runtime.advance(step)
    await vi.advanceTimersByTimeAsync(step)
    await nextTurn()
  }
  for (let turn = 0; turn < 6; turn += 1) await nextTurn()
}

async function accept(count: number, fields: Parameters<typeof draftOf>[1] = {}): Promise<OutboxDraft[]> {
  const drafts = Array.from({ length: count }, () => draftOf(opened.runtime, fields))
  const stored = Promise.all(drafts.map((draft) => opened.outbox.accept(draft)))
  await pass(0)
  await stored
  sender.wake()
  await pass(0)
  return drafts
}

const textOf = (row: SealableRow) => decodeEnvelope(row.payload ?? Buffer.alloc(0))?.body.toString()
const keysOf = (items: readonly { client_message_id: string }[]) => items.map((item) => item.client_message_id)
const sentKeys = () => keysOf(frames.flat())
const idsOf = (drafts: readonly OutboxDraft[]) => drafts.map((draft) => draft.clientMessageId)
const rowOf = (draft: OutboxDraft | undefined) => opened.outbox.get(draft?.id ?? '')

let brokerMessages = 0

function created(key: string): SendResult {
  brokerMessages += 1
  return {
    client_message_id: key,
    status: 201,
    broker_message_id: opened.runtime.nextId(),
    history_id: String(brokerMessages),
    recipient_count: 1,
  }
}

const failed = (key: string, status: number, code: string, rest: object = {}): SendResult => ({
  client_message_id: key,
  status,
  code,
  ...rest,
})

async function answer(...results: SendResult[]): Promise<void> {
  sender.settleResults(results)
  await pass(0)
}

describe('sending', () => {
  it('transmits in order of acceptance as soon as there is a connection, and settles what is answered', async () => {
    sender.start()
    const drafts = await accept(3)
    expect(frames).toEqual([])
    sender.linkOpened(wide)
    await pass(0)
    expect(frames.map(keysOf)).toEqual([idsOf(drafts)])
    expect(opened.outbox.counts()).toMatchObject({ inflight: 3, pending: 0 })
    await answer(...[...sentKeys()].reverse().map(created))
    expect(opened.outbox.counts()).toMatchObject({ done: 3, inflight: 0 })
    expect(sender.counters).toMatchObject({ transmitted: 3, accepted: 3, stray: 0 })
    expect(sender.inflight).toEqual({ messages: 0, bytes: 0 })
  })

  it.each([
    ['a claim', () => null],
    ['the accept itself', sealPlainly],
  ])('of a row claimed by %s begins after its commit, with frozen bytes', async (_by, sealForKnown) => {
    const seen: unknown[] = []
    sender = new Sender({
      outbox: opened.outbox,
      seal: sealPlainly,
      sealForKnown,
      transmit: (items) => {
        const killed = opened.copy()
        const row = killed.getByClientMessageId(items[0]?.client_message_id ?? '')
        killed.close()
        seen.push({ attempts: row?.attempts, sealed: row?.sealed?.toString('base64') === items[0]?.sealed })
        return true
      },
      onRecipientsStale: () => undefined,
      runtime: opened.runtime,
      log: pino({ level: 'silent' }),
      maxAgeMs: () => maxAgeMs,
    })
    sender.start()
    sender.linkOpened(wide)
    await accept(1)
    // A start after a kill in the middle of the transmission finds the row inflight, with the bytes that were leaving.
    expect(seen).toEqual([{ attempts: 1, sealed: true }])
  })

  it('lets what waits for its recipients hold up nothing else, and sends it in order once they are known', async () => {
    const known = new Set(['quick'])
    seal = (row) => (known.has(row.destinationRef) ? sealPlainly(row) : { postponedMs: 15_000 })
    sender.start()
    sender.linkOpened(wide)
    const topic = (destinationRef: string) => ({ destinationKind: 'topic' as const, destinationRef })
    const slow = await accept(300, topic('slow'))
    const quick = await accept(1, topic('quick'))
    expect(sentKeys()).toEqual(idsOf(quick))
    known.add('slow')
    sender.recipientsAnswered({ kind: 'topic', ref: 'slow' })
    await pass(0)
    expect(sentKeys()).toEqual(idsOf([...quick, ...slow]))
  })

  it('asks again for recipients that nobody has answered for', async () => {
    let seals = 0
    seal = () => {
      seals += 1
      return { postponedMs: 5_000 }
    }
    sender.start()
    sender.linkOpened(wide)
    await accept(1)
    await pass(4_900)
    expect(seals).toBe(1)
    await pass(200)
    expect(seals).toBe(2)
  })

  it('settles acceptances and claims what comes next in one commit, and any other answer by itself', async () => {
    sender.start()
    sender.linkOpened({ ...wide, inflightMessages: 2 })
    const keys = idsOf(await accept(6))
    const settle = vi.spyOn(opened.outbox, 'settle')
    const settleAndClaim = vi.spyOn(opened.outbox, 'settleAndClaim')
    await answer(...keys.slice(0, 2).map(created))
    expect(sentKeys()).toEqual(keys.slice(0, 4))
    expect([settle.mock.calls.length, settleAndClaim.mock.calls.length]).toEqual([0, 1])
    await answer(created(keys[2] ?? ''), failed(keys[3] ?? '', 429, 'rate_limited', { retry_after_ms: 1_000 }))
    expect(sentKeys()).toEqual(keys.slice(0, 4))
    expect([settle.mock.calls.length, settleAndClaim.mock.calls.length]).toEqual([1, 1])
  })

  it('keeps within the window of messages and goes on as answers make room', async () => {
    sender.start()
    sender.linkOpened({ ...wide, inflightMessages: 4 })
    const drafts = await accept(10)
    expect(sentKeys()).toEqual(idsOf(drafts).slice(0, 4))
    await answer(created(sentKeys()[2] ?? ''), created(sentKeys()[0] ?? ''))
    expect(sentKeys()).toEqual(idsOf(drafts).slice(0, 6))
  })

  it('keeps within the window of bytes, and sends a message larger than the window alone', async () => {
    sender.start()
    sender.linkOpened({ ...wide, inflightBytes: 10_000 })
    const small = await accept(1, { text: 'x'.repeat(3_000) })
    const large = await accept(1, { text: 'x'.repeat(30_000) })
    expect(sentKeys()).toEqual(idsOf(small))
    await answer(created(sentKeys()[0] ?? ''))
    const after = await accept(1, { text: 'x' })
    expect(sentKeys()).toEqual(idsOf([...small, ...large]))
    await answer(created(sentKeys()[1] ?? ''))
    expect(sentKeys()).toEqual(idsOf([...small, ...large, ...after]))
  })

  it('cuts frames at their number of items and at their bytes', async () => {
    sender.start()
    await accept(300)
    await accept(3, { text: 'x'.repeat(20_000) })
    sender.linkOpened({ ...wide, frameBytesMax: 300_000 })
    await pass(0)
    expect(frames.flat()).toHaveLength(303)
    for (const frame of frames) {
      expect(frame.length).toBeLessThanOrEqual(256)
      expect(JSON.stringify({ type: 'send', items: frame }).length).toBeLessThanOrEqual(300_000)
    }
  })

  it('refuses a message that no frame of this broker can carry, and sends the others', async () => {
    sender.start()
    const [large] = await accept(1, { text: 'x'.repeat(60_000) })
    const small = await accept(1)
    sender.linkOpened({ ...wide, frameBytesMax: 40_000 })
    await pass(0)
    expect(rowOf(large)).toMatchObject({ status: 'dead', lastError: expect.stringMatching(/^payload_too_large/) })
    expect(sentKeys()).toEqual(idsOf(small))
  })
})

describe('a row that its accept claims', () => {
  /** Accepted and committed; the sender has had no turn since. */
  async function acceptWithoutRound(): Promise<OutboxDraft> {
    const draft = draftOf(opened.runtime)
    await opened.outbox.accept(draft)
    return draft
  }

  it('is on its way, in order with what is claimed before and after it', async () => {
    sender.start()
    sender.linkOpened({ ...wide, inflightMessages: 2 })
    await pass(0)
    const [first, second, third] = [await acceptWithoutRound(), await acceptWithoutRound(), await acceptWithoutRound()]
    expect(opened.outbox.counts()).toMatchObject({ pending: 1, inflight: 2 })
    await pass(0)
    expect(sentKeys()).toEqual(idsOf([first, second]))
    await answer(created(first.clientMessageId), created(second.clientMessageId))
    expect(sentKeys()).toEqual(idsOf([first, second, third]))
  })

  it('is taken back when the connection ends before it was sent, and comes before younger ones', async () => {
    sender.start()
    sender.linkOpened(wide)
    await pass(0)
    const first = await acceptWithoutRound()
    sender.linkClosed()
    sender.linkOpened(wide)
    const [second] = await accept(1)
    expect(frames).toEqual([])
    expect(rowOf(first)).toMatchObject({ status: 'pending', attempts: 1 })
    await pass(1_000)
    expect(sentKeys()).toEqual([first.clientMessageId, second?.clientMessageId])
  })

  it('is pending again when the connection does not take it', async () => {
    sender.start()
    sender.linkOpened(wide)
    await pass(0)
    takes = false
    const [draft] = await accept(1)
    expect(rowOf(draft)).toMatchObject({ status: 'pending', attempts: 1 })
    expect(sender.inflight).toEqual({ messages: 0, bytes: 0 })
    takes = true
    await pass(1_100)
    expect(sentKeys()).toEqual(idsOf([draft as OutboxDraft]))
  })

  it('is claimed by nobody while the broker wants nothing', async () => {
    sender.start()
    sender.linkOpened(wide)
    const [limited] = await accept(1)
    await answer(failed(limited?.clientMessageId ?? '', 429, 'rate_limited', { retry_after_ms: 2_000 }))
    opened.outbox.drop({ id: limited?.id ?? '', by: 'operator' })
    const [held] = await accept(1)
    expect(rowOf(held)?.status).toBe('pending')
    await pass(2_100)
    expect(rowOf(held)?.status).toBe('inflight')
  })
})

describe('a row that cannot be sealed', () => {
  it('is dead with the reason, and the others go out', async () => {
    seal = (row) => (textOf(row) === 'bad' ? { refused: 'recipient_unknown: no key' } : sealPlainly(row))
    sender.start()
    sender.linkOpened(wide)
    const [bad] = await accept(1, { text: 'bad' })
    const good = await accept(1, { text: 'good' })
    expect(rowOf(bad)).toMatchObject({ status: 'dead', lastError: 'recipient_unknown: no key' })
    expect(sentKeys()).toEqual(idsOf(good))
    expect(sender.counters).toMatchObject({ transmitted: 1, refused: 1 })
    expect(warnings).toContain('send_refused')
  })

  it('does not make those behind it wait, however many fill a claim before them', async () => {
    seal = (row) => (textOf(row) === 'bad' ? { refused: 'recipient_unknown: no key' } : sealPlainly(row))
    sender.start()
    await accept(300, { text: 'bad' })
    const good = await accept(1, { text: 'good' })
    sender.linkOpened(wide)
    await pass(25)
    expect(sentKeys()).toEqual(idsOf(good))
  })
})

describe('a mistake of ours', () => {
  it('is not taken for a refusal of the disk: it ends the process instead of blocking every message', async () => {
    const uncaught: unknown[] = []
    process.setUncaughtExceptionCaptureCallback((error) => uncaught.push(error))
    onTestFinished(() => process.setUncaughtExceptionCaptureCallback(null))
    seal = () => {
      throw new Error('this must not happen')
    }
    sender.start()
    sender.linkOpened(wide)
    await accept(1)
    await pass(25)
    expect(uncaught).toMatchObject([{ message: 'this must not happen' }])
    expect(sender.condition).toBeNull()
  })
})

describe('an answer', () => {
  it('of a transient failure makes the row wait, with the same bytes, for as long as the broker asks', async () => {
    sender.start()
    sender.linkOpened(wide)
    const [draft] = await accept(1)
    await answer(failed(sentKeys()[0] ?? '', 503, 'shutting_down', { retry_after_ms: 3_000 }))
    expect(rowOf(draft)).toMatchObject({ status: 'pending', attempts: 1, lastError: 'shutting_down' })
    await pass(2_900)
    expect(frames).toHaveLength(1)
    await pass(200)
    expect(frames).toHaveLength(2)
    expect(frames[1]).toEqual(frames[0])
  })

  it('that the recipients changed seals again and sends at once', async () => {
    sender.start()
    sender.linkOpened(wide)
    const [draft] = await accept(1)
    await answer(failed(sentKeys()[0] ?? '', 409, 'recipients_stale', { recipients_epoch: 2 }))
    expect(frames).toHaveLength(2)
    expect(rowOf(draft)).toMatchObject({ status: 'inflight', attempts: 1 })
  })

  it('of changed recipients is told of before the message is sealed again', async () => {
    const events: string[] = []
    seal = (row) => {
      events.push(`sealed, stale ${stale.length}`)
      return sealPlainly(row)
    }
    sender.start()
    sender.linkOpened(wide)
    await accept(1, { destinationKind: 'topic', destinationRef: 'builds' })
    await answer(failed(sentKeys()[0] ?? '', 409, 'recipients_stale', { recipients_epoch: 2 }))
    expect(stale).toEqual([{ kind: 'topic', ref: 'builds' }])
    expect(events).toEqual(['sealed, stale 0', 'sealed, stale 1'])
  })

  it('that refuses makes the row dead with code and detail', async () => {
    sender.start()
    sender.linkOpened(wide)
    const [draft] = await accept(1)
    await answer(failed(sentKeys()[0] ?? '', 404, 'recipient_unknown', { detail: 'nobody of that id' }))
    expect(rowOf(draft)).toMatchObject({ status: 'dead', lastError: 'recipient_unknown: nobody of that id' })
    expect(warnings).toContain('send_refused')
  })

  it('of the rate limit holds everything until it is over: the others would meet it too', async () => {
    sender.start()
    sender.linkOpened(wide)
    const [first] = await accept(1)
    await answer(failed(first?.clientMessageId ?? '', 429, 'rate_limited', { retry_after_ms: 2_000 }))
    const [second] = await accept(1)
    await pass(1_900)
    expect(frames).toHaveLength(1)
    await pass(200)
    expect(sentKeys()).toEqual([first, first, second].map((draft) => draft?.clientMessageId))
  })

  it('of a message whose history is pruned is a success with a warning', async () => {
    sender.start()
    sender.linkOpened(wide)
    const [draft] = await accept(1)
    await answer({
      client_message_id: draft?.clientMessageId ?? '',
      status: 200,
      duplicate: true,
      broker_message_id: opened.runtime.nextId(),
      history_id: '7',
      history_available: false,
      recipient_count: 1,
      first_seen_at: 1,
    })
    expect(rowOf(draft)).toMatchObject({ status: 'done', historyId: '7' })
    expect(warnings).toContain('history_pruned')
    expect(sender.counters).toMatchObject({ accepted: 1, duplicates: 1 })
  })

  it('that comes twice, late, or for nothing that was sent changes nothing', async () => {
    sender.start()
    sender.linkOpened(wide)
    const [draft] = await accept(1)
    const key = draft?.clientMessageId ?? ''
    const first = created(key)
    await answer(first, failed(key, 400, 'fingerprint_mismatch'), created('nobody'))
    const settled = rowOf(draft)
    await answer(failed(key, 500, 'internal_error'), created(key))
    expect(rowOf(draft)).toEqual(settled)
    expect(settled).toMatchObject({
      status: 'done',
      brokerMessageId: 'broker_message_id' in first && first.broker_message_id,
    })
    expect(sender.counters).toMatchObject({ accepted: 1, stray: 4 })
  })

  it('that does not come in time makes the row pending, and one for the next attempt settles it', async () => {
    sender.start()
    sender.linkOpened(wide)
    const [draft] = await accept(1)
    await pass(sendAnswerMsMax - 50)
    expect(rowOf(draft)?.status).toBe('inflight')
    await pass(100)
    expect(rowOf(draft)).toMatchObject({ status: 'pending', attempts: 1, lastError: expect.stringMatching(/^timeout/) })
    await pass(sendBackoffMsBase)
    expect(frames).toHaveLength(2)
    await answer(created(draft?.clientMessageId ?? ''))
    expect(rowOf(draft)).toMatchObject({ status: 'done', attempts: 2 })
    expect(sender.counters).toMatchObject({ timeouts: 1, accepted: 1 })
  })
})

describe('a connection that ends', () => {
  it('gives everything unanswered back, and younger rows do not overtake it', async () => {
    sender.start()
    sender.linkOpened({ ...wide, inflightMessages: 5 })
    const drafts = await accept(9)
    await answer(created(sentKeys()[0] ?? ''))
    sender.linkClosed()
    await pass(0)
    expect(opened.outbox.counts()).toEqual({ pending: 8, inflight: 0, done: 1, dead: 0, aborted: 0 })
    frames = []
    sender.linkOpened(wide)
    await pass(0)
    expect(frames).toEqual([])
    await pass(sendBackoffMsBase)
    expect(sentKeys()).toEqual(idsOf(drafts).slice(1))
  })

  it('settles first what was answered before it ended', async () => {
    sender.start()
    sender.linkOpened(wide)
    const [draft] = await accept(1)
    sender.settleResults([created(draft?.clientMessageId ?? '')])
    sender.linkClosed()
    await pass(0)
    expect(rowOf(draft)?.status).toBe('done')
  })

  it('or takes nothing for a moment costs a pause, not the message', async () => {
    sender.start()
    sender.linkOpened(wide)
    takes = false
    const drafts = await accept(3)
    expect(opened.outbox.counts()).toMatchObject({ pending: 3, inflight: 0 })
    takes = true
    await pass(900)
    expect(frames).toEqual([])
    await pass(200)
    expect(sentKeys()).toEqual(idsOf(drafts))
  })
})

describe('a disk that refuses', () => {
  it('costs time and nothing else: what was answered is settled when there is room again', async () => {
    sender.start()
    sender.linkOpened(wide)
    const [draft] = await accept(1)
    const settle = vi.spyOn(opened.outbox, 'settle').mockImplementation(() => {
      throw new MeshError('insufficient_storage')
    })
    await answer(created(draft?.clientMessageId ?? ''))
    const [later] = await accept(1)
    await pass(2_500)
    expect(opened.outbox.counts()).toMatchObject({ inflight: 1, pending: 1, done: 0 })
    expect(warnings.filter((event) => event === 'outbox_round_failed')).toHaveLength(1)
    expect(sender.condition).toMatchObject({ code: 'insufficient_storage' })
    settle.mockRestore()
    await pass(2_500)
    expect(sender.condition).toBeNull()
    expect(rowOf(draft)?.status).toBe('done')
    expect(sentKeys()).toEqual([draft, later].map((row) => row?.clientMessageId))
    expect(sender.counters).toMatchObject({ accepted: 1, stray: 0 })
  })
})

describe('a start after a crash', () => {
  it('sends what was inflight first, after the least backoff, and then what came after it', async () => {
    sender.start()
    sender.linkOpened({ ...wide, inflightMessages: 2 })
    const drafts = await accept(4)
    const bytes = frames.flat().map((item) => item.sealed)
    opened.reopen()
    frames = []
    sender = makeSender()
    sender.start()
    sender.linkOpened(wide)
    await pass(400)
    expect(frames).toEqual([])
    await pass(200)
    expect(sentKeys()).toEqual(idsOf(drafts))
    expect(
      frames
        .flat()
        .map((item) => item.sealed)
        .slice(0, 2),
    ).toEqual(bytes)
  })
})

describe('age', () => {
  it('ends what has waited too long, with or without a connection, and such a row is never transmitted', async () => {
    maxAgeMs = hour
    sender.start()
    const [old] = await accept(1)
    opened.runtime.advance(hour + 1)
    const [young] = await accept(1)
    sender.linkOpened(wide)
    await pass(0)
    expect(rowOf(old)?.status).toBe('dead')
    expect(sentKeys()).toEqual([young?.clientMessageId])
    expect(sender.counters.expired).toBe(1)
  })

  it('is looked at while there is no connection', async () => {
    maxAgeMs = 10_000
    sender.start()
    const [draft] = await accept(1)
    await pass(sendSweepMs + 100)
    expect(rowOf(draft)?.status).toBe('dead')
  })
})

describe('stopping', () => {
  it('waits for answers that come soon', async () => {
    sender.start()
    sender.linkOpened(wide)
    const [draft] = await accept(1)
    const stopped = sender.stop()
    await accept(1)
    await answer(created(draft?.clientMessageId ?? ''))
    await stopped
    expect(opened.outbox.counts()).toMatchObject({ done: 1, pending: 1, inflight: 0 })
    expect(frames).toHaveLength(1)
  })

  it('takes back what is not answered', async () => {
    sender.start()
    sender.linkOpened(wide)
    await accept(2)
    const stopped = sender.stop()
    await pass(1_100)
    await stopped
    expect(opened.outbox.counts()).toMatchObject({ pending: 2, inflight: 0 })
  })
})

describe('at rest', () => {
  it('no timer runs when nothing waits', async () => {
    sender.start()
    sender.linkOpened(wide)
    const [draft] = await accept(1)
    await answer(created(draft?.clientMessageId ?? ''))
    await pass(sendSweepMs)
    expect(vi.getTimerCount()).toBe(0)
  })
})
