/**
 * Work as consumers pull and settle it.
 *
 * A take that finds nothing gives its turn back while it waits, so that the other calls of its connection go on. It ends
 * with the connection, and what it may have taken by then goes back as if it had not been: the answer reaches nobody.
 */
import {
  MeshError,
  type QueueItem,
  type RequestParams,
  type RequestResult,
  type Settlement,
} from '@claudemesh/protocol'
import { queueLookIntervalMs } from '../limits.ts'
import type { LeasedMessage, SettleItem } from '../store/queues.ts'
import type { MemberKey } from '../store/rows.ts'
import { toHistoryItem } from './history.ts'
import type { Wake } from './queue-waits.ts'
import { refuseQueue } from './queues.ts'
import {
  type Call,
  Postponed,
  type RequestDependencies,
  type RequestHandler,
  responseBytesMax,
} from './request-handler.ts'

type Taken = RequestResult<'queues.take'>

export const takeWork: RequestHandler<'queues.take'> = (dependencies, caller, params, call) =>
  look({ dependencies, caller, params, call }, null)

interface Take {
  readonly dependencies: RequestDependencies
  readonly caller: MemberKey
  readonly params: RequestParams<'queues.take'>
  readonly call: Call
}

/** @param woken what it was woken by; null the first time, and when it looks by itself */
async function look(take: Take, woken: Wake | null): Promise<Taken | Postponed<Taken>> {
  const { dependencies, caller, params, call } = take
  const { store, runtime, queueWaits, metrics } = dependencies
  const key = { meshId: caller.meshId, queue: params.queue }
  if (call.ended.aborted) {
    if (woken !== null) queueWaits.pass(key, woken)
    return { items: [] }
  }
  const msLeft = params.wait_ms - (runtime.monotonicMs() - call.askedAt)
  const wait = msLeft > 0 ? queueWaits.begin(key, caller) : null
  const now = runtime.now()
  const leaseId = runtime.nextId()
  try {
    const outcome = await store.queues.take({
      meshId: caller.meshId,
      memberId: caller.memberId,
      queue: params.queue,
      limit: params.limit,
      bytesMax: responseBytesMax,
      leaseId,
      leaseMs: params.lease_ms,
      now,
    })
    if (outcome.kind !== 'taken') throw refuseQueue(outcome.kind, params.queue)
    const { messages, nextAt } = outcome
    if (messages.length > 0) {
      wait?.cancel()
      if (call.ended.aborted) await store.queues.untake(caller, { queue: params.queue, leaseId })
      // There may be more. If not, whoever looks learns when this lease is over.
      queueWaits.wake(key, 1)
      if (call.ended.aborted) return { items: [] }
      metrics.counters.queue_takes.inc(messages.length)
      return { items: messages.map(toQueueItem) }
    }
    if (woken !== null && nextAt !== null && nextAt <= now) queueWaits.pass(key, woken)
    if (wait === null) {
      if (msLeft <= 0) return { items: [] }
      throw new MeshError('rate_limited', { detail: 'as many calls of this member wait for work as may at once' })
    }
    const dueInMs = nextAt === null || nextAt <= now ? queueLookIntervalMs : nextAt - now
    const until = wait.until({ ms: Math.min(msLeft, dueInMs, queueLookIntervalMs), signal: call.ended })
    return new Postponed(until, (wake) => look(take, wake))
  } catch (error) {
    wait?.cancel()
    throw error
  }
}

function toQueueItem({ message, leaseId, leaseUntil, deliveries }: LeasedMessage): QueueItem {
  return { ...toHistoryItem(message), lease_id: leaseId, lease_until: leaseUntil, deliveries }
}

export const untakeWork: RequestHandler<'queues.untake'> = async ({ store, wakeQueue }, caller, params) => {
  const { queue, lease_id: leaseId } = params
  await store.queues.untake(caller, { queue, leaseId })
  // However many they were: whoever looks hands the wake on while there is more.
  wakeQueue({ meshId: caller.meshId, queue }, 1)
  return {}
}

export const settleWork: RequestHandler<'queues.settle'> = async (dependencies, caller, { items }) => {
  const { store, runtime, wakeQueue, wake, metrics } = dependencies
  const { meshId } = caller
  const now = runtime.now()
  const settling = items.map((item) => toSettleItem(item, now))
  const { outcomes, notified, returnedTo } = await store.queues.settle(caller, { items: settling, now })
  for (const memberId of notified) wake({ meshId, memberId })
  for (const queue of returnedTo) wakeQueue({ meshId, queue }, 1)
  for (const outcome of outcomes) metrics.counters.queue_settlements.inc({ outcome })
  return {
    items: settling.map((item, index) => {
      const outcome = outcomes[index]
      if (outcome === undefined) throw new Error('the store returns one outcome per item')
      const extended = outcome === 'extended' && item.action === 'extend'
      const lease = extended ? { lease_until: item.leaseUntil } : {}
      return { broker_message_id: item.brokerMessageId, outcome, ...lease }
    }),
  }
}

function toSettleItem(item: Settlement, now: number): SettleItem {
  const about = { brokerMessageId: item.broker_message_id, leaseId: item.lease_id }
  switch (item.action) {
    case 'ack':
      return { ...about, action: 'ack' }
    case 'nack':
      return { ...about, action: 'nack', visibleAt: now + (item.delay_ms ?? 0), reason: item.reason ?? 'returned' }
    case 'extend':
      return { ...about, action: 'extend', leaseUntil: now + item.lease_ms }
    default:
      return item satisfies never
  }
}
