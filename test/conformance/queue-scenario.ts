/** What the members of a mesh do with work queues: the words that the suites about them are told in. */
import { expect } from 'vitest'
import type { Queue, SettleOutcome, TakeRequest } from '../../apps/broker/src/store/queues.ts'
import type { MemberKey, Receipt } from '../../apps/broker/src/store/rows.ts'
import type { AcceptItem } from '../../apps/broker/src/store/store.ts'
import type { Engine } from './engines.ts'
import { makeItem } from './scenario.ts'

export const jobs = { kind: 'queue', ref: 'jobs' } as const

export async function consume(
  engine: Engine,
  member: MemberKey,
  more: { readonly queue?: string; readonly maxDeliveries?: number; readonly consumersMax?: number } = {},
): Promise<Queue | null> {
  const { queue = 'jobs', maxDeliveries = null, consumersMax = 512 } = more
  return engine.store.queues.consume(member, { queue, maxDeliveries, consumersMax, now: engine.clock.now() })
}

export function leaveQueue(engine: Engine, member: MemberKey, queue = 'jobs'): Promise<Queue | null> {
  return engine.store.queues.leave(member, { queue, now: engine.clock.now() })
}

/** Accepts messages for the queue, and fails when one is not stored. @returns their broker message ids */
export async function enqueue(
  engine: Engine,
  from: MemberKey,
  items: readonly (Partial<AcceptItem> & { readonly text?: string })[],
): Promise<readonly string[]> {
  const made = items.map(({ text = 'work', ...more }) => ({ ...makeItem(engine, from, jobs, { text }), ...more }))
  const outcomes = await engine.store.acceptBatch(made)
  return outcomes.map((outcome) => {
    if (outcome.kind !== 'stored') throw new Error(`not stored: ${outcome.kind}`)
    return outcome.brokerMessageId
  })
}

export interface Taken {
  readonly id: string
  readonly leaseId: string
  readonly deliveries: number
  readonly text: string
}

export async function take(
  engine: Engine,
  member: MemberKey,
  more: Partial<TakeRequest> & { readonly store?: Engine['store'] } = {},
): Promise<readonly Taken[]> {
  const { store = engine.store, ...rest } = more
  const outcome = await store.queues.take({
    ...member,
    queue: 'jobs',
    limit: 32,
    bytesMax: 1_000_000,
    leaseId: engine.clock.nextId(),
    leaseMs: 60_000,
    now: engine.clock.now(),
    ...rest,
  })
  if (outcome.kind !== 'taken') throw new Error(outcome.kind)
  return outcome.messages.map(({ message, leaseId, deliveries }) => ({
    id: message.brokerMessageId,
    leaseId,
    deliveries,
    text: message.sealed.toString('utf8'),
  }))
}

/** Takes one message, and fails when there is none. */
export async function takeOne(engine: Engine, member: MemberKey, more: Partial<TakeRequest> = {}): Promise<Taken> {
  const [taken, ...others] = await take(engine, member, { limit: 1, ...more })
  expect(others).toEqual([])
  if (taken === undefined) throw new Error('there is something to take')
  return taken
}

type Action =
  | { readonly action: 'ack' }
  | { readonly action: 'nack'; readonly delayMs?: number; readonly reason?: string }
  | { readonly action: 'extend'; readonly leaseMs: number }

export function settle(
  engine: Engine,
  member: MemberKey,
  taken: readonly Pick<Taken, 'id' | 'leaseId'>[],
  action: Action = { action: 'ack' },
): Promise<SettleOutcome> {
  const now = engine.clock.now()
  const items = taken.map(({ id: brokerMessageId, leaseId }) => {
    const about = { brokerMessageId, leaseId }
    switch (action.action) {
      case 'ack':
        return { ...about, action: 'ack' as const }
      case 'nack': {
        const { delayMs = 0, reason = 'returned' } = action
        return { ...about, action: 'nack' as const, visibleAt: now + delayMs, reason }
      }
      case 'extend':
        return { ...about, action: 'extend' as const, leaseUntil: now + action.leaseMs }
      default:
        return action satisfies never
    }
  })
  return engine.store.queues.settle(member, { items, now })
}

export async function outcomesOf(settling: Promise<SettleOutcome>): Promise<SettleOutcome['outcomes']> {
  return (await settling).outcomes
}

/** What waits to be told to a member. */
export async function receiptsFor(engine: Engine, member: MemberKey): Promise<readonly Partial<Receipt>[]> {
  const claim = { connectionId: engine.clock.nextId(), leaseMs: 1, itemsMax: 100, bytesMax: 1_000_000 }
  const { receipts } = await engine.store.claim({ ...member, ...claim })
  await engine.store.releaseClaims(member, claim.connectionId)
  return receipts.map(({ brokerMessageId, recipient, state, reason }) => ({
    brokerMessageId,
    recipient,
    state,
    reason,
  }))
}

export function bury(engine: Engine) {
  return engine.store.queues.buryExhausted({ now: engine.clock.now(), rowsMax: 100 })
}
