import type { ReceiptItem } from '@claudemesh/protocol'
import { describe, expect, it } from 'vitest'
import {
  acceptedBy,
  claimAll,
  countingSeal,
  draftOf,
  type OpenOutbox,
  refusalOf,
  retryOf,
  sealPlainly,
  temporaryOutbox,
} from '../../../../test/support/outbox.ts'
import { sendBackoffMsBase, sendBackoffMsCap, sweepRowsMax } from '../limits.ts'
import type { ClaimOptions } from './claim.ts'

const hour = 3_600_000
const day = 24 * hour

describe('accept', () => {
  it('stores a row that is there after a restart', async () => {
    const opened = await temporaryOutbox()
    const draft = draftOf(opened.runtime, { mentions: ['b'.repeat(64)], replyToId: opened.runtime.nextId() })
    const outcome = await opened.outbox.accept(draft)
    expect(outcome).toMatchObject({ inserted: true, row: { id: draft.id, status: 'pending', attempts: 0 } })

    const row = opened.reopen().getByClientMessageId(draft.clientMessageId)
    const unsealed = { sealed: null, wireFingerprint: null, recipientsEpoch: null, restoredAt: null }
    expect(row).toEqual({ ...outcome.row, payload: draft.payload, ...unsealed })
  })

  it('answers every one of the same id in one batch with the one row', async () => {
    const { outbox, runtime } = await temporaryOutbox()
    const drafts = Array.from({ length: 100 }, (_, n) => draftOf(runtime, { clientMessageId: 'k', text: `${n % 3}` }))
    const outcomes = await Promise.all(drafts.map((draft) => outbox.accept(draft)))
    expect(outcomes.map((outcome) => outcome.inserted)).toEqual(drafts.map((_, n) => n === 0))
    expect(new Set(outcomes.map((outcome) => outcome.row.id))).toEqual(new Set([drafts[0]?.id]))
    expect(outbox.counts().pending).toBe(1)
  })

  it('keeps the order of acceptance when the clock steps back between two starts', async () => {
    const opened = await temporaryOutbox()
    const first = await opened.outbox.accept(draftOf(opened.runtime))
    opened.runtime.wallMs -= hour
    opened.reopen()
    const later = draftOf(opened.runtime, { id: `00${first.row.id.slice(2)}` })
    await opened.outbox.accept(later)
    expect(claimAll(opened).map((row) => row.id)).toEqual([first.row.id, later.id])
  })
})

describe('claim', () => {
  it('takes now before next before low, each in order of acceptance', async () => {
    const opened = await temporaryOutbox()
    const priorities = ['low', 'next', 'now', 'low', 'now', 'next'] as const
    const drafts = priorities.map((priority) => draftOf(opened.runtime, { priority }))
    await Promise.all(drafts.map((draft) => opened.outbox.accept(draft)))
    const claimed = claimAll(opened).map((row) => drafts.findIndex((draft) => draft.id === row.id))
    expect(claimed).toEqual([2, 4, 1, 5, 0, 3])
  })

  it('freezes the bytes once and gives the same ones to every attempt', async () => {
    const opened = await temporaryOutbox()
    const { row } = await opened.outbox.accept(draftOf(opened.runtime))
    const seal = countingSeal()
    const claim = () =>
      opened.outbox.claim({ now: opened.runtime.now(), rowsMax: 9, bytesMax: 1e6, firstRegardless: true, seal }).rows
    const [first] = claim()
    expect(first).toMatchObject({ id: row.id })
    expect(opened.outbox.get(row.id)?.status).toBe('inflight')
    opened.outbox.settle([retryOf(row.id, 0)])
    const [second] = claim()
    expect(second?.sealed).toEqual(first?.sealed)
    expect(second?.wireFingerprint).toEqual(first?.wireFingerprint)
    expect(seal.calls).toBe(1)
    expect(opened.outbox.get(row.id)?.sealed).toEqual(first?.sealed)
  })

  it('seals again when the recipients changed', async () => {
    const opened = await temporaryOutbox()
    const { row } = await opened.outbox.accept(draftOf(opened.runtime))
    const [first] = claimAll(opened)
    opened.outbox.settle([retryOf(row.id, 0, true)])
    expect(opened.outbox.get(row.id)).toMatchObject({ sealed: null, wireFingerprint: null })
    const seal = countingSeal()
    seal.calls = 7
    const o = { now: opened.runtime.now(), rowsMax: 1, bytesMax: 1e6, firstRegardless: true, seal }
    const [second] = opened.outbox.claim(o).rows
    expect(second?.sealed).not.toEqual(first?.sealed)
  })

  it('ends rows that cannot be sealed, with the reason, and takes the others', async () => {
    const opened = await temporaryOutbox()
    const drafts = ['one', 'bad', 'two', 'bad'].map((text) => draftOf(opened.runtime, { text }))
    const ids = drafts.map((draft) => draft.id)
    await Promise.all(drafts.map((draft) => opened.outbox.accept(draft)))
    const told: string[] = []
    opened.outbox.onChange((changed) => told.push(...changed))
    const refused = 'recipient_unknown: nobody to seal for'
    const seal = countingSeal()
    const { rows, unsealable } = opened.outbox.claim({
      now: opened.runtime.now(),
      rowsMax: 9,
      bytesMax: 1e6,
      firstRegardless: true,
      seal: (row) => (row.payload?.includes('bad') === true ? { refused } : seal(row)),
    })
    expect(rows.map((row) => row.id)).toEqual([ids[0], ids[2]])
    expect(unsealable).toEqual([ids[1], ids[3]].map((outboxId) => ({ outboxId, lastError: refused })))
    expect(opened.outbox.get(ids[1] ?? '')).toMatchObject({ status: 'dead', lastError: refused, attempts: 0 })
    expect(opened.outbox.counts()).toMatchObject({ pending: 0, inflight: 2, dead: 2 })
    expect(told).toEqual([ids[1], ids[3]])
    expect(opened.outbox.announcements(0, 9)).toMatchObject([ids[1], ids[3]].map((outboxId) => ({ outboxId })))
  })

  describe('of rows whose recipients are not known yet', () => {
    const topic = (ref: string) => ({ destinationKind: 'topic' as const, destinationRef: ref })
    const claimKnowing = (
      opened: OpenOutbox,
      known: readonly string[],
      o: { rowsMax?: number; delayMs?: number } = {},
    ) =>
      opened.outbox.claim({
        now: opened.runtime.now(),
        rowsMax: o.rowsMax ?? 256,
        bytesMax: 1e9,
        firstRegardless: true,
        seal: (row) => (known.includes(row.destinationRef) ? sealPlainly(row) : { postponedMs: o.delayMs ?? 1_000 }),
      })
    const accept = async (opened: OpenOutbox, refs: readonly string[]) => {
      const drafts = refs.map((ref) => draftOf(opened.runtime, topic(ref)))
      await Promise.all(drafts.map((draft) => opened.outbox.accept(draft)))
      return drafts.map((draft) => draft.id)
    }
    const idsOf = (rows: readonly { id: string }[]) => rows.map((row) => row.id)

    it('takes those of other destinations, however many wait', async () => {
      const opened = await temporaryOutbox()
      const waiting = await accept(
        opened,
        Array.from({ length: 600 }, () => 'slow'),
      )
      const [other] = await accept(opened, ['quick'])
      const taken: string[] = []
      for (let claims = 0; claims < 3; claims += 1) taken.push(...idsOf(claimKnowing(opened, ['quick']).rows))
      expect(taken).toEqual([other])
      expect(claimKnowing(opened, ['quick'])).toEqual({ rows: [], unsealable: [], postponed: 0 })
      expect(opened.outbox.counts()).toMatchObject({ pending: 600, inflight: 1 })
      expect(opened.outbox.get(waiting[0] ?? '')).toMatchObject({ status: 'pending', attempts: 0, sealed: null })
    })

    it('takes them in order of acceptance as soon as that is answered, before younger ones', async () => {
      const opened = await temporaryOutbox()
      const first = await accept(opened, ['a', 'b', 'a'])
      claimKnowing(opened, [])
      const younger = await accept(opened, ['a'])
      expect(opened.outbox.recipientsAnswered({ kind: 'topic', ref: 'a' })).toBe(false)
      expect(idsOf(claimKnowing(opened, ['a', 'b']).rows)).toEqual([first[0], first[2], ...younger])
      expect(opened.outbox.get(first[1] ?? '')).toMatchObject({ status: 'pending' })
    })

    it('looks at them again when their time is over, without an answer', async () => {
      const opened = await temporaryOutbox()
      const [id] = await accept(opened, ['a'])
      claimKnowing(opened, [], { delayMs: 1_000 })
      expect(opened.outbox.nextAttemptAt(opened.runtime.now())).toBe(opened.runtime.now() + 1_000)
      opened.runtime.advance(1_000)
      expect(idsOf(claimKnowing(opened, ['a']).rows)).toEqual([id])
    })

    it('keeps why they wait, where that is said, until it is over', async () => {
      const opened = await temporaryOutbox()
      const [id = ''] = await accept(opened, ['a'])
      const claim = (seal: ClaimOptions['seal']) =>
        opened.outbox.claim({ now: opened.runtime.now(), rowsMax: 9, bytesMax: 1e9, firstRegardless: true, seal })
      claim(() => ({ postponedMs: 1_000, reason: 'queue_without_consumers: nobody' }))
      expect(opened.outbox.get(id)).toMatchObject({ status: 'pending', lastError: 'queue_without_consumers: nobody' })
      opened.runtime.advance(1_000)
      claim(() => ({ postponedMs: 1_000 }))
      expect(opened.outbox.get(id)).toMatchObject({ lastError: 'queue_without_consumers: nobody' })
      opened.runtime.advance(1_000)
      expect(idsOf(claim(sealPlainly).rows)).toEqual([id])
    })

    it('looks at them again at once after a start: whoever would have woken them is gone', async () => {
      const opened = await temporaryOutbox()
      const [id] = await accept(opened, ['a'])
      claimKnowing(opened, [], { delayMs: 60_000 })
      opened.reopen()
      expect(idsOf(claimKnowing(opened, ['a']).rows)).toEqual([id])
    })

    it('wakes no row that waits for something else', async () => {
      const opened = await temporaryOutbox()
      const [id = ''] = await accept(opened, ['a'])
      claimKnowing(opened, [])
      opened.outbox.recipientsAnswered({ kind: 'topic', ref: 'a' })
      claimKnowing(opened, ['a'])
      opened.outbox.settle([retryOf(id, 10_000, true)])
      opened.outbox.recipientsAnswered({ kind: 'topic', ref: 'a' })
      expect(claimKnowing(opened, ['a']).rows).toEqual([])
    })
  })

  it('is cut where the sealed bytes no longer fit, although the contents would', async () => {
    const opened = await temporaryOutbox()
    for (const text of ['a', 'b', 'c']) await opened.outbox.accept(draftOf(opened.runtime, { text }))
    const claim = (firstRegardless: boolean) =>
      opened.outbox.claim({
        now: opened.runtime.now(),
        rowsMax: 9,
        bytesMax: 1_000,
        firstRegardless,
        seal: (row) => ({ ...sealPlainly(row), sealed: Buffer.alloc(600) }),
      }).rows.length
    expect([claim(false), claim(true), claim(false)]).toEqual([1, 1, 1])
  })

  it('keeps for which set of subscribers the bytes are, and forgets it with them', async () => {
    const opened = await temporaryOutbox()
    const draft = draftOf(opened.runtime, { destinationKind: 'topic', destinationRef: 'builds' })
    await opened.outbox.accept(draft)
    const claim = (recipientsEpoch: number) =>
      opened.outbox.claim({
        now: opened.runtime.now(),
        rowsMax: 9,
        bytesMax: 1e6,
        firstRegardless: true,
        seal: (row) => ({ ...sealPlainly(row), recipientsEpoch }),
      }).rows[0]?.recipientsEpoch
    expect(claim(4)).toBe(4)
    opened.outbox.settle([retryOf(draft.id, 0)])
    expect(claim(5)).toBe(4)
    opened.outbox.settle([retryOf(draft.id, 0, true)])
    expect(opened.outbox.get(draft.id)?.recipientsEpoch).toBeNull()
    expect(claim(6)).toBe(6)
  })

  it('stops at the first row that does not fit, and takes the first one anyway when asked to', async () => {
    const opened = await temporaryOutbox()
    for (const length of [100, 5_000, 100]) {
      await opened.outbox.accept(draftOf(opened.runtime, { text: 'x'.repeat(length) }))
    }
    const claim = (bytesMax: number, firstRegardless: boolean) =>
      opened.outbox
        .claim({ now: opened.runtime.now(), rowsMax: 9, bytesMax, firstRegardless, seal: countingSeal() })
        .rows.map((row) => opened.outbox.get(row.id)?.messageBytes)
    expect(claim(1_000, false)).toEqual([100])
    expect(claim(1_000, false)).toEqual([])
    expect(claim(1_000, true)).toEqual([5_000])
    expect(claim(1_000, true)).toEqual([100])
  })

  it('does not look at a row before its next attempt is due', async () => {
    const opened = await temporaryOutbox()
    const { row } = await opened.outbox.accept(draftOf(opened.runtime))
    claimAll(opened)
    opened.outbox.settle([retryOf(row.id, 5_000)])
    expect(opened.outbox.nextAttemptAt(opened.runtime.now())).toBe(opened.runtime.now() + 5_000)
    opened.runtime.advance(4_999)
    expect(claimAll(opened)).toEqual([])
    opened.runtime.advance(1)
    expect(opened.outbox.nextAttemptAt(opened.runtime.now())).toBe(opened.runtime.now())
    expect(claimAll(opened).map(({ id, attempts }) => ({ id, attempts }))).toEqual([{ id: row.id, attempts: 1 }])
  })

  it('never parks a row for longer than the cap when the clock jumps back', async () => {
    const opened = await temporaryOutbox()
    const { row } = await opened.outbox.accept(draftOf(opened.runtime))
    claimAll(opened)
    opened.outbox.settle([retryOf(row.id, sendBackoffMsCap)])
    expect(claimAll(opened)).toEqual([])
    opened.runtime.wallMs -= 30 * day
    expect(opened.outbox.nextAttemptAt(opened.runtime.now())).toBe(opened.runtime.now())
    expect(claimAll(opened)).toHaveLength(1)
  })
})

describe('settle', () => {
  it('records what the broker accepted, and announces it', async () => {
    const opened = await temporaryOutbox()
    const { row } = await opened.outbox.accept(draftOf(opened.runtime))
    claimAll(opened)
    const changes: string[] = []
    opened.outbox.onChange((ids) => changes.push(...ids))
    expect(opened.outbox.settle([acceptedBy(row.id, 4)])).toEqual({ settled: [row.id], late: [] })
    expect(opened.outbox.get(row.id)).toMatchObject({
      status: 'done',
      attempts: 1,
      historyId: '4',
      recipientCount: 1,
      deliveredAt: opened.runtime.now(),
      lastError: null,
    })
    expect(changes).toEqual([row.id])
    expect(opened.outbox.announcements(0, 9)).toMatchObject([{ outboxId: row.id, kind: 'settled', state: 'done' }])
  })

  it('shares a commit with a claim: both happen, or neither', async () => {
    const opened = await temporaryOutbox()
    const { row: sent } = await opened.outbox.accept(draftOf(opened.runtime))
    claimAll(opened)
    const { row: next } = await opened.outbox.accept(draftOf(opened.runtime))
    const statuses = () => [sent, next].map(({ id }) => opened.outbox.get(id)?.status)
    const bounds = { now: opened.runtime.now(), rowsMax: 9, bytesMax: 1e6, firstRegardless: true }
    const seal = () => {
      throw new Error('a mistake in sealing')
    }
    expect(() => opened.outbox.settleAndClaim([acceptedBy(sent.id, 1)], { ...bounds, seal })).toThrow('a mistake')
    expect(statuses()).toEqual(['inflight', 'pending'])
    expect(opened.outbox.counts()).toMatchObject({ pending: 1, inflight: 1, done: 0 })
    expect(opened.outbox.announcements(0, 9)).toEqual([])
    const { settlement, claim } = opened.outbox.settleAndClaim([acceptedBy(sent.id, 1)], {
      ...bounds,
      seal: sealPlainly,
    })
    expect([settlement.settled, claim.rows.map(({ id }) => id)]).toEqual([[sent.id], [next.id]])
    expect(statuses()).toEqual(['done', 'inflight'])
    expect(opened.outbox.counts()).toMatchObject({ pending: 0, inflight: 1, done: 1 })
  })

  it('leaves rows alone that are not inflight any more, and says which', async () => {
    const opened = await temporaryOutbox()
    const { row } = await opened.outbox.accept(draftOf(opened.runtime))
    expect(opened.outbox.settle([acceptedBy(row.id)])).toEqual({ settled: [], late: [row.id] })
    claimAll(opened)
    const outcome = opened.outbox.settle([acceptedBy(row.id, 1), refusalOf(row.id), retryOf('unknown')])
    expect(outcome).toEqual({ settled: [row.id], late: [row.id, 'unknown'] })
    expect(opened.outbox.get(row.id)).toMatchObject({ status: 'done', historyId: '1' })
    expect(opened.outbox.announcements(0, 9)).toHaveLength(1)
  })

  it('keeps the order of what was inflight when the connection ends', async () => {
    const opened = await temporaryOutbox()
    const drafts = Array.from({ length: 40 }, () => draftOf(opened.runtime))
    await Promise.all(drafts.map((draft) => opened.outbox.accept(draft)))
    claimAll(opened, { rowsMax: 25 })
    expect(opened.outbox.releaseInflight({ now: opened.runtime.now(), delayMs: 300, lastError: 'x' })).toBe(25)
    opened.runtime.advance(300)
    expect(claimAll(opened).map((row) => row.id)).toEqual(drafts.map((draft) => draft.id))
  })
})

describe('a restart', () => {
  it('makes inflight rows pending again after the least backoff, with one attempt more and the same bytes', async () => {
    const opened = await temporaryOutbox()
    const { row } = await opened.outbox.accept(draftOf(opened.runtime))
    const [claimed] = claimAll(opened)
    const outbox = opened.reopen()
    expect(outbox.recovered).toBe(1)
    expect(outbox.get(row.id)).toMatchObject({
      status: 'pending',
      attempts: 1,
      nextAttemptAt: opened.runtime.now() + sendBackoffMsBase,
      sealed: claimed?.sealed,
    })
    expect(claimAll(opened)).toEqual([])
    opened.runtime.advance(sendBackoffMsBase)
    expect(claimAll(opened)).toHaveLength(1)
  })
})

describe('age', () => {
  it('ends what has waited longer than it may, and nothing else', async () => {
    const opened = await temporaryOutbox()
    const { outbox, runtime } = opened
    const old = await outbox.accept(draftOf(runtime))
    const inflight = await outbox.accept(draftOf(runtime, { priority: 'now' }))
    claimAll(opened, { rowsMax: 1 })
    runtime.advance(day)
    const young = await outbox.accept(draftOf(runtime))
    const maxAgeMs = day - 1
    expect(outbox.expire({ now: runtime.now(), maxAgeMs })).toBe(1)
    expect(outbox.expire({ now: runtime.now(), maxAgeMs })).toBe(0)
    expect(outbox.get(old.row.id)).toMatchObject({
      status: 'dead',
      lastError: expect.stringMatching(/^max_age_exceeded/),
    })
    expect(outbox.get(inflight.row.id)?.status).toBe('inflight')
    expect(outbox.get(young.row.id)?.status).toBe('pending')
    expect(outbox.counts()).toEqual({ pending: 1, inflight: 1, done: 0, dead: 1, aborted: 0 })
  })

  it('is swept in batches', async () => {
    const { outbox, runtime } = await temporaryOutbox()
    const count = sweepRowsMax + 3
    await Promise.all(Array.from({ length: count }, () => outbox.accept(draftOf(runtime))))
    const o = { now: runtime.now() + day, maxAgeMs: hour }
    expect([outbox.expire(o), outbox.expire(o), outbox.expire(o)]).toEqual([sweepRowsMax, 3, 0])
  })
})

describe('an operator', () => {
  it('requeues a dead row: the old one is aborted and names its successor, the new one has the same contents', async () => {
    const opened = await temporaryOutbox()
    const { outbox, runtime } = opened
    const { row } = await outbox.accept(draftOf(runtime))
    claimAll(opened)
    outbox.settle([refusalOf(row.id)])
    const newId = runtime.nextId()
    const outcome = outbox.requeue({
      id: row.id,
      by: 'operator',
      newId,
      newClientMessageId: 'again',
      releaseOldId: false,
      replacement: null,
    })
    expect(outcome).toMatchObject({
      kind: 'requeued',
      old: { status: 'aborted', abortedBy: 'operator', supersededBy: newId, releasedAt: null },
      new: { id: newId, status: 'pending', clientMessageId: 'again', requestFingerprint: row.requestFingerprint },
    })
    expect(outbox.get(newId)?.payload).toEqual(outbox.get(row.id)?.payload)
    expect(outbox.get(newId)?.sealed).toBeNull()
    expect(outbox.getByClientMessageId(row.clientMessageId)?.id).toBe(row.id)
  })

  it('frees the old id only when told to, and may give it to the new row at once', async () => {
    const { outbox, runtime } = await temporaryOutbox()
    const { row } = await outbox.accept(draftOf(runtime, { clientMessageId: 'mine' }))
    const requeue = (releaseOldId: boolean) =>
      outbox.requeue({
        id: row.id,
        by: 'operator',
        newId: runtime.nextId(),
        newClientMessageId: 'mine',
        releaseOldId,
        replacement: null,
      })
    expect(requeue(false)).toMatchObject({ kind: 'id_taken', holder: { id: row.id, status: 'pending' } })
    const outcome = requeue(true)
    expect(outcome).toMatchObject({ kind: 'requeued', old: { releasedAt: runtime.now() } })
    if (outcome.kind !== 'requeued') return
    expect(outbox.getByClientMessageId('mine')?.id).toBe(outcome.new.id)
  })

  const inoperable = ['inflight', 'done', 'aborted'] as const
  for (const status of inoperable) {
    it(`can neither requeue nor drop a row that is ${status}`, async () => {
      const opened = await temporaryOutbox()
      const { outbox, runtime } = opened
      const { row } = await outbox.accept(draftOf(runtime))
      if (status === 'aborted') outbox.drop({ id: row.id, by: 'operator' })
      else claimAll(opened)
      if (status === 'done') outbox.settle([acceptedBy(row.id)])
      const before = outbox.get(row.id)
      const newId = runtime.nextId()
      const o = { id: row.id, by: 'operator', newId, newClientMessageId: newId, releaseOldId: true, replacement: null }
      expect(outbox.requeue(o)).toMatchObject({ kind: 'not_operable', row: { status } })
      expect(outbox.drop(o)).toMatchObject({ kind: 'not_operable', row: { status } })
      expect(outbox.get(row.id)).toEqual(before)
      expect(outbox.get(newId)).toBeNull()
    })
  }

  it('sees the whole chain of successors from any row of it', async () => {
    const { outbox, runtime } = await temporaryOutbox()
    const { row } = await outbox.accept(draftOf(runtime))
    const ids = [row.id]
    for (let n = 0; n < 4; n += 1) {
      const newId = runtime.nextId()
      const id = ids.at(-1) ?? ''
      outbox.requeue({ id, by: 'operator', newId, newClientMessageId: newId, releaseOldId: false, replacement: null })
      ids.push(newId)
    }
    for (const id of ids) expect(outbox.chain(id).map((link) => link.id)).toEqual(ids)
    expect(outbox.chain('nobody')).toEqual([])
  })

  it('prunes ended rows of an age, and their receipts', async () => {
    const { outbox, runtime } = await temporaryOutbox()
    const { row } = await outbox.accept(draftOf(runtime))
    outbox.drop({ id: row.id, by: 'operator' })
    outbox.recordReceipts([receiptOf(row.clientMessageId)])
    runtime.advance(hour)
    const { row: young } = await outbox.accept(draftOf(runtime))
    outbox.drop({ id: young.id, by: 'operator' })
    expect(outbox.prune({ status: 'dead', acceptedUntil: runtime.now() })).toBe(0)
    expect(outbox.prune({ status: 'aborted', acceptedUntil: runtime.now() - 1 })).toBe(1)
    expect(outbox.get(row.id)).toBeNull()
    expect(outbox.receipts(row.id)).toEqual([])
    expect(outbox.get(young.id)?.status).toBe('aborted')
    expect(outbox.counts().aborted).toBe(1)
  })

  it('gives no position twice, also when the newest rows were pruned', async () => {
    const { outbox, runtime } = await temporaryOutbox()
    for (let n = 1; n <= 3; n += 1) {
      const { row } = await outbox.accept(draftOf(runtime))
      expect(outbox.behind(n - 1, 10).map(({ position, row: { id } }) => [position, id])).toEqual([[n, row.id]])
      outbox.drop({ id: row.id, by: 'operator' })
      expect(outbox.prune({ status: 'aborted', acceptedUntil: runtime.now() })).toBe(1)
      expect(outbox.lastPosition).toBe(n)
    }
  })
})

describe('retention', () => {
  it('removes the contents of done rows after a day and the rows after 30, or as long as the broker remembers', async () => {
    const opened = await temporaryOutbox()
    const { outbox, runtime } = opened
    const rows = await Promise.all([1, 2, 3].map(() => outbox.accept(draftOf(runtime))))
    const [done, dead, pending] = rows.map((outcome) => outcome.row.id) as [string, string, string]
    claimAll(opened, { rowsMax: 2 })
    outbox.settle([acceptedBy(done), refusalOf(dead)])
    const retain = (days: number | null) => outbox.retain({ now: runtime.now(), dedupeRetentionDays: days })

    expect(retain(7)).toEqual({ stripped: 0, deleted: 0 })
    runtime.advance(day)
    expect(retain(7)).toEqual({ stripped: 1, deleted: 0 })
    expect(retain(7)).toEqual({ stripped: 0, deleted: 0 })
    expect(outbox.get(done)).toMatchObject({ status: 'done', payload: null, sealed: null, messageBytes: 5 })
    runtime.advance(29 * day)
    expect(retain(60)).toEqual({ stripped: 0, deleted: 0 })
    expect(retain(null)).toEqual({ stripped: 0, deleted: 1 })
    expect([done, dead, pending].map((id) => outbox.get(id)?.status)).toEqual([undefined, 'dead', 'pending'])
  })
})

function receiptOf(clientMessageId: string, fields: Partial<ReceiptItem> = {}): ReceiptItem {
  return {
    delivery_id: '1',
    broker_message_id: '01BRK000000000000000000001',
    client_message_id: clientMessageId,
    recipient: 'b'.repeat(64),
    state: 'delivered',
    at: 5,
    ...fields,
  }
}

describe('receipts', () => {
  it('are stored and announced once', async () => {
    const opened = await temporaryOutbox()
    const { row } = await opened.outbox.accept(draftOf(opened.runtime))
    claimAll(opened)
    opened.outbox.settle([acceptedBy(row.id, 1)])
    const receipt = receiptOf(row.clientMessageId)
    opened.outbox.recordReceipts([receipt, receipt])
    opened.outbox.recordReceipts([receipt, receiptOf(row.clientMessageId, { state: 'read' })])
    expect(opened.outbox.receipts(row.id).map(({ state }) => state)).toEqual(['delivered', 'read'])
    const announced = opened.outbox.announcements(0, 9)
    expect(announced.map(({ kind, state }) => `${kind} ${state}`)).toEqual([
      'settled done',
      'receipt delivered',
      'receipt read',
    ])
  })

  it('are announced with what there is to tell of them, and with less once their row is pruned', async () => {
    const opened = await temporaryOutbox()
    const { row } = await opened.outbox.accept(draftOf(opened.runtime))
    claimAll(opened)
    opened.outbox.settle([acceptedBy(row.id, 1)])
    opened.outbox.recordReceipts([receiptOf(row.clientMessageId, { state: 'undeliverable', reason: 'expired' })])
    const { clientMessageId } = row
    const { brokerMessageId, historyId } = opened.outbox.summary(row.id) ?? {}
    expect(opened.outbox.announcements(0, 9)).toMatchObject([
      { kind: 'settled', clientMessageId, brokerMessageId, historyId, at: null, reason: null },
      { kind: 'receipt', clientMessageId, brokerMessageId, state: 'undeliverable', reason: 'expired' },
    ])
    opened.runtime.advance(60 * 86_400_000)
    opened.outbox.retain({ now: opened.runtime.now(), dedupeRetentionDays: null })
    opened.outbox.retain({ now: opened.runtime.now(), dedupeRetentionDays: null })
    expect(opened.outbox.announcements(0, 9)).toMatchObject([
      { kind: 'settled', state: 'done', clientMessageId: null, historyId: null },
      { kind: 'receipt', state: 'undeliverable', clientMessageId: null, reason: null },
    ])
  })

  it('are forgotten, once told of, by the next commit that announces something', async () => {
    const opened = await temporaryOutbox()
    const { row } = await opened.outbox.accept(draftOf(opened.runtime))
    claimAll(opened)
    opened.outbox.settle([acceptedBy(row.id, 1)])
    const [told] = opened.outbox.announcements(0, 9)
    opened.outbox.forgetAnnouncements(told?.seq ?? 0)
    expect(opened.outbox.announcements(0, 9)).toMatchObject([{ kind: 'settled' }])
    opened.outbox.recordReceipts([receiptOf(row.clientMessageId)])
    expect(opened.reopen().announcements(0, 9)).toMatchObject([{ kind: 'receipt', state: 'delivered' }])
  })

  it('find their row before the answer to its send is settled, and never another one that has its id', async () => {
    const opened = await temporaryOutbox()
    const { row } = await opened.outbox.accept(draftOf(opened.runtime))
    claimAll(opened)
    opened.outbox.recordReceipts([receiptOf(row.clientMessageId), receiptOf('somebody-else')])
    expect(opened.outbox.receipts(row.id)).toHaveLength(1)
    opened.outbox.settle([acceptedBy(row.id, 1)])
    const other = receiptOf(row.clientMessageId, { broker_message_id: '01BRK000000000000000000009', state: 'read' })
    opened.outbox.recordReceipts([other])
    expect(opened.outbox.receipts(row.id)).toHaveLength(1)
  })
})

describe('list', () => {
  it('pages by status, newest first, and refuses a cursor that is no row', async () => {
    const opened = await temporaryOutbox()
    const { outbox, runtime } = opened
    const drafts = Array.from({ length: 9 }, () => draftOf(runtime))
    await Promise.all(drafts.map((draft) => outbox.accept(draft)))
    claimAll(opened, { rowsMax: 4 })
    const ids = drafts.map((draft) => draft.id).reverse()
    const page = (status: 'pending' | null, after: string | null) =>
      outbox.list({ status, after, limit: 3 })?.map((row) => row.id)
    expect(page(null, null)).toEqual(ids.slice(0, 3))
    expect(page(null, ids[2] ?? '')).toEqual(ids.slice(3, 6))
    expect(page('pending', ids[2] ?? '')).toEqual(ids.slice(3, 5))
    expect(page('pending', ids[4] ?? '')).toEqual([])
    expect(page(null, runtime.nextId())).toBeUndefined()
  })
})
