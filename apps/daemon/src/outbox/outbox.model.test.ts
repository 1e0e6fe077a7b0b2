/**
 * The outbox against a model of it: arrays and plain conditions, no SQL, no indexes. Arbitrary interleavings of
 * everything that can happen to rows, with crashes in between; after each step all rows must be the model's.
 */
import { decodeEnvelope, type OutboxStatus, type Priority } from '@claudemesh/protocol'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import {
  acceptedBy,
  draftOf,
  type OpenOutbox,
  openOutbox,
  refusalOf,
  retryOf,
} from '../../../../test/support/outbox.ts'
import { seeded } from '../../../../test/support/seed.ts'
import { lowPassedOverMsMax, sendBackoffMsBase, sendBackoffMsCap } from '../limits.ts'
import type { ClaimedRow, OutboxDraft, OutboxSummary, SealedMessage } from './outbox.ts'

interface ModelRow {
  readonly id: string
  readonly clientMessageId: string
  readonly text: string
  readonly priority: Priority
  readonly enqueuedAt: number
  status: OutboxStatus
  attempts: number
  nextAttemptAt: number
  isParked: boolean
  sealed: string | null
  supersededBy: string | null
  isReleased: boolean
}

/** Rows in order of acceptance. */
type Model = ModelRow[]
type Command = fc.AsyncCommand<Model, OpenOutbox>

const priorities: readonly Priority[] = ['now', 'next', 'low']
const keys = ['k1', 'k2', 'k3', 'k4', 'k5', 'k6']
const texts = ['one', 'two']

const liveRow = (model: Model, key: string) => model.find((row) => row.clientMessageId === key && !row.isReleased)

function newRow(o: { id: string; clientMessageId: string; text: string; priority: Priority; now: number }): ModelRow {
  const { now, ...ids } = o
  return {
    ...ids,
    enqueuedAt: now,
    status: 'pending',
    attempts: 0,
    nextAttemptAt: now,
    isParked: false,
    sealed: null,
    supersededBy: null,
    isReleased: false,
  }
}

function compare(model: Model, { outbox }: OpenOutbox): void {
  const facts = (row: OutboxSummary) => ({
    id: row.id,
    clientMessageId: row.clientMessageId,
    status: row.status,
    attempts: row.attempts,
    nextAttemptAt: row.nextAttemptAt,
    supersededBy: row.supersededBy,
    isReleased: row.releasedAt !== null,
  })
  const rows = outbox.list({ status: null, after: null, limit: 10_000 }) ?? []
  expect([...rows].reverse().map(facts)).toEqual(
    model.map((row) => ({
      id: row.id,
      clientMessageId: row.clientMessageId,
      status: row.status,
      attempts: row.attempts,
      nextAttemptAt: row.nextAttemptAt,
      supersededBy: row.supersededBy,
      isReleased: row.isReleased,
    })),
  )
  const count = (status: OutboxStatus) => model.filter((row) => row.status === status).length
  expect(outbox.counts()).toEqual({
    pending: count('pending'),
    inflight: count('inflight'),
    done: count('done'),
    dead: count('dead'),
    aborted: count('aborted'),
  })
  for (const row of model) expect(outbox.chain(row.id).map(({ id }) => id)).toEqual(chainOf(model, row))
  const waiting = model.filter((row) => row.status === 'pending').map((row) => row.enqueuedAt)
  expect(outbox.oldestPendingAt()).toBe(waiting.length === 0 ? null : Math.min(...waiting))
}

/** A row with those that it came from and that came from it, as far as they are there. */
function chainOf(model: Model, row: ModelRow): readonly string[] {
  const chain = [row]
  for (let first = chain[0]; first !== undefined; ) {
    const { id } = first
    first = model.find((candidate) => candidate.supersededBy === id)
    if (first !== undefined) chain.unshift(first)
  }
  for (let last = chain.at(-1); last !== undefined; ) {
    const { supersededBy } = last
    last = model.find((candidate) => candidate.id === supersededBy)
    if (last !== undefined) chain.push(last)
  }
  return chain.map(({ id }) => id)
}

/** A command from its name, its parameters and what it does to both sides. */
function command<P>(name: string, parameters: P, act: (model: Model, real: OpenOutbox, p: P) => unknown): Command {
  return {
    check: () => true,
    run: async (model, real) => {
      await act(model, real, parameters)
      compare(model, real)
    },
    toString: () => `${name}(${JSON.stringify(parameters)})`,
  }
}

interface Send {
  readonly key: string
  readonly text: string
  readonly priority: Priority
}

/** What an accept may claim by the commit that stores it. */
interface AcceptClaim {
  readonly rowsMax: number
  /** This cannot be sealed now. */
  readonly unsealable: string
}

let claimedByAccepts = 0

async function accept(model: Model, real: OpenOutbox, p: { sends: readonly Send[]; claim: AcceptClaim | null }) {
  const { sends } = p
  const { outbox, runtime } = real
  const claimed: ClaimedRow[] = []
  const seal = (draft: OutboxDraft) => (textOf(draft) === p.claim?.unsealable ? null : sealAnew(draft))
  outbox.claimWithAccepts({
    options: () => (p.claim === null ? null : { rowsMax: p.claim.rowsMax, bytesMax: 1e9, seal }),
    claimed: (rows) => claimed.push(...rows),
  })
  // As it is before the commit: one row that waits, for whatever, and none is claimed before it.
  const room = { rows: p.claim !== null && model.every(({ status }) => status !== 'pending') ? p.claim.rowsMax : 0 }
  const outcomes = await Promise.all(
    sends.map(({ key, text, priority }) => outbox.accept(draftOf(runtime, { clientMessageId: key, text, priority }))),
  )
  const expected: ModelRow[] = []
  for (const [index, { key, text, priority }] of sends.entries()) {
    const outcome = outcomes[index]
    const existing = liveRow(model, key)
    expect(outcome?.inserted).toBe(existing === undefined)
    if (text === p.claim?.unsealable) room.rows = 0
    if (existing !== undefined) {
      expect(outcome?.row).toMatchObject({ id: existing.id, status: existing.status })
      continue
    }
    const row = newRow({ id: outcome?.row.id ?? '', clientMessageId: key, text, priority, now: runtime.now() })
    model.push(row)
    if (room.rows === 0) continue
    room.rows -= 1
    row.status = 'inflight'
    row.sealed = claimed.find(({ id }) => id === row.id)?.sealed.toString() ?? null
    expected.push(row)
  }
  const ranked = priorities.flatMap((priority) => expected.filter((row) => row.priority === priority))
  expect(claimed.map(({ id }) => id)).toEqual(ranked.map(({ id }) => id))
  claimedByAccepts += claimed.length
}

const textOf = (draft: OutboxDraft) => decodeEnvelope(draft.payload)?.body.toString()

let seals = 0

/** Bytes that differ each time, so that a second sealing cannot go unnoticed. */
function sealAnew(row: { readonly payload: Buffer | null }): SealedMessage {
  seals += 1
  const sealed = Buffer.from(`${row.payload?.toString('hex')} ${seals}`)
  return { sealed, wireFingerprint: Buffer.alloc(32), recipientsEpoch: null }
}

/** Since when low rows have been left behind for others, by the monotonic clock. */
const passedOverSince = new WeakMap<Model, number>()

function claim(model: Model, { outbox, runtime }: OpenOutbox, rowsMax: number): void {
  const now = runtime.now()
  for (const row of model.filter((candidate) => candidate.status === 'pending' && candidate.isParked)) {
    row.isParked = row.nextAttemptAt > now && row.nextAttemptAt <= now + sendBackoffMsCap
  }
  const ready = model.filter((row) => row.status === 'pending' && !row.isParked)
  const claimed = outbox.claim({ now, rowsMax, bytesMax: 1e9, firstRegardless: false, seal: sealAnew }).rows
  const monotonicMs = runtime.monotonicMs()
  const since = passedOverSince.get(model) ?? monotonicMs
  checkOrder({ ready, claimed, rowsMax, hasShare: monotonicMs - since >= lowPassedOverMsMax })
  for (const row of claimed) {
    const expected = ready.find((candidate) => candidate.id === row.id)
    if (expected === undefined) throw new Error(`row ${row.id} was claimed and is not ready`)
    if (expected.sealed !== null) expect(row.sealed.toString()).toBe(expected.sealed)
    expected.sealed = row.sealed.toString()
    expected.status = 'inflight'
  }
  if (ready.every((row) => row.priority !== 'low' || row.status === 'inflight')) passedOverSince.delete(model)
  else if (claimed.some((row) => row.priority !== 'low')) passedOverSince.set(model, since)
}

function checkOrder(o: { ready: Model; claimed: readonly ClaimedRow[]; rowsMax: number; hasShare: boolean }): void {
  const { ready, claimed, rowsMax, hasShare } = o
  expect(claimed).toHaveLength(Math.min(rowsMax, ready.length))
  for (const priority of priorities) {
    const taken = claimed.filter((row) => row.priority === priority).map((row) => row.id)
    const inOrder = ready.filter((row) => row.priority === priority).map((row) => row.id)
    expect(taken).toEqual(inOrder.slice(0, taken.length))
  }
  if (hasShare) return
  const ranked = priorities.flatMap((priority) => ready.filter((row) => row.priority === priority))
  expect(claimed.map((row) => row.id)).toEqual(ranked.slice(0, rowsMax).map((row) => row.id))
}

function settle(
  model: Model,
  { outbox, runtime }: OpenOutbox,
  picks: readonly { index: number; move: 'accepted' | 'retry' | 'reseal' | 'refused'; delayMs: number }[],
): void {
  if (model.length === 0) return
  const chosen = picks.map((pick) => ({ ...pick, row: model[pick.index % model.length] as ModelRow }))
  const { settled, late } = outbox.settle(
    chosen.map(({ row, move, delayMs }, index) => {
      if (move === 'accepted') return acceptedBy(row.id, index + 1)
      return move === 'refused' ? refusalOf(row.id) : retryOf(row.id, delayMs, move === 'reseal')
    }),
  )
  const expected: { settled: string[]; late: string[] } = { settled: [], late: [] }
  for (const { row, move, delayMs } of chosen) {
    if (row.status !== 'inflight') {
      expected.late.push(row.id)
      continue
    }
    expected.settled.push(row.id)
    row.attempts += 1
    if (move === 'accepted') row.status = 'done'
    else if (move === 'refused') row.status = 'dead'
    else {
      Object.assign(row, { status: 'pending', nextAttemptAt: runtime.now() + delayMs, isParked: delayMs > 0 })
      if (move === 'reseal') row.sealed = null
    }
  }
  expect({ settled, late }).toEqual(expected)
}

function giveBack(model: Model, nextAttemptAt: number): number {
  const inflight = model.filter((row) => row.status === 'inflight')
  for (const row of inflight) {
    Object.assign(row, { status: 'pending', attempts: row.attempts + 1, nextAttemptAt, isParked: true })
  }
  return inflight.length
}

function requeue(model: Model, { outbox, runtime }: OpenOutbox, p: { index: number; key: string; release: boolean }) {
  const row = model[p.index % Math.max(1, model.length)]
  const newId = runtime.nextId()
  const outcome = outbox.requeue({
    id: row?.id ?? 'nobody',
    by: 'operator',
    newId,
    newClientMessageId: p.key,
    releaseOldId: p.release,
    replacement: null,
  })
  if (row === undefined) {
    expect(outcome.kind).toBe('unknown')
    return
  }
  const holder = liveRow(model, p.key)
  const isTaken = holder !== undefined && !(p.release && holder === row)
  const isOperable = row.status === 'pending' || row.status === 'dead'
  expect(outcome.kind).toBe(isOperable ? (isTaken ? 'id_taken' : 'requeued') : 'not_operable')
  if (outcome.kind !== 'requeued') return
  Object.assign(row, { status: 'aborted', supersededBy: newId, isReleased: p.release })
  const { text, priority } = row
  model.push(newRow({ id: newId, clientMessageId: p.key, text, priority, now: runtime.now() }))
  expect(outbox.chain(newId).at(-1)?.id).toBe(newId)
}

function drop(model: Model, { outbox }: OpenOutbox, index: number): void {
  const row = model[index % Math.max(1, model.length)]
  const outcome = outbox.drop({ id: row?.id ?? 'nobody', by: 'operator' })
  if (row === undefined || (row.status !== 'pending' && row.status !== 'dead')) {
    expect(outcome.kind).toBe(row === undefined ? 'unknown' : 'not_operable')
    return
  }
  expect(outcome.kind).toBe('dropped')
  row.status = 'aborted'
}

function expire(model: Model, { outbox, runtime }: OpenOutbox, maxAgeMs: number): void {
  const old = model.filter((row) => row.status === 'pending' && row.enqueuedAt < runtime.now() - maxAgeMs)
  for (const row of old) row.status = 'dead'
  expect(outbox.expire({ now: runtime.now(), maxAgeMs })).toBe(old.length)
}

function prune(
  model: Model,
  { outbox, runtime }: OpenOutbox,
  p: { readonly status: 'dead' | 'aborted'; readonly ageMs: number },
): void {
  const acceptedUntil = runtime.now() - p.ageMs
  const isOld = (row: ModelRow) => row.status === p.status && row.enqueuedAt <= acceptedUntil
  const kept = model.filter((row) => !isOld(row))
  expect(outbox.prune({ status: p.status, acceptedUntil })).toBe(model.length - kept.length)
  model.splice(0, model.length, ...kept)
}

const index = fc.nat(30)
const key = fc.constantFrom(...keys)
const delayMs = fc.constantFrom(0, 1, 500, 30_000, sendBackoffMsCap)
const move = fc.constantFrom('accepted' as const, 'retry' as const, 'reseal' as const, 'refused' as const)
const send = fc.record({
  key: fc.oneof(key, fc.uuid()),
  text: fc.constantFrom(...texts),
  priority: fc.constantFrom(...priorities),
})

const commands: fc.Arbitrary<Command>[] = [
  fc
    .record({
      sends: fc.array(send, { minLength: 1, maxLength: 8 }),
      claim: fc.option(fc.record({ rowsMax: fc.nat(10), unsealable: fc.constantFrom('', '', '', ...texts) })),
    })
    .map((p) => command('accept', p, accept)),
  fc.integer({ min: 1, max: 12 }).map((p) => command('claim', p, claim)),
  fc
    .array(fc.record({ index, move, delayMs }), { minLength: 1, maxLength: 8 })
    .map((p) => command('settle', p, settle)),
  delayMs.map((p) =>
    command('disconnect', p, (model, { outbox, runtime }, delay) => {
      const released = outbox.releaseInflight({ now: runtime.now(), delayMs: delay, lastError: 'disconnected' })
      expect(released).toBe(giveBack(model, runtime.now() + delay))
    }),
  ),
  fc.record({ index, key, release: fc.boolean() }).map((p) => command('requeue', p, requeue)),
  index.map((p) => command('drop', p, drop)),
  fc.constantFrom(1_000, 60_000, 600_000).map((p) => command('expire', p, expire)),
  fc
    .record({ status: fc.constantFrom('dead' as const, 'aborted' as const), ageMs: fc.constantFrom(0, 500, 60_000) })
    .map((p) => command('prune', p, prune)),
  fc
    .constantFrom(1, 500, 5_000, 61_000, -3_600_000)
    .map((p) => command('clock', p, (_, { runtime }, ms) => runtime.advance(ms))),
  fc.constant(
    command('kill and start', null, (model, real) => {
      const recovered = giveBack(model, real.runtime.now() + sendBackoffMsBase)
      expect(real.reopen().recovered).toBe(recovered)
    }),
  ),
]

const runs = Number(process.env.CLAUDEMESH_TEST_MODEL_RUNS ?? 150)
const { seed } = seeded()

it(`behaves like the model under any interleaving, with crashes in between (${runs} runs, seed ${seed})`, {
  timeout: 120_000,
}, async () => {
  await fc.assert(
    fc.asyncProperty(fc.commands(commands, { maxCommands: 40 }), async (run) => {
      const real = await openOutbox()
      try {
        await fc.asyncModelRun(() => ({ model: [] as Model, real }), run)
      } finally {
        real.remove()
      }
    }),
    { numRuns: runs, seed, endOnFailure: false },
  )
  expect(claimedByAccepts).toBeGreaterThan(0)
})
