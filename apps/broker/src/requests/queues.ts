import { type DeadItem, limits, MeshError, type QueueRecord } from '@claudemesh/protocol'
import { queuesPerPageMax } from '../limits.ts'
import type { DeadMessage, Queue, QueueRefusal } from '../store/queues.ts'
import { toHistoryItem } from './history.ts'
import { type RequestHandler, responseBytesMax } from './request-handler.ts'

/** Queues in order of their names. */
export const listQueues: RequestHandler<'queues.list'> = async ({ store, runtime }, caller, params) => {
  const limit = Math.min(params.limit, queuesPerPageMax)
  const queues = await store.queues.page(caller, { after: params.after ?? null, limit, now: runtime.now() })
  return { queues: queues.map(toQueueRecord), next: queues.length < limit ? null : (queues.at(-1)?.name ?? null) }
}

/** The caller becomes a consumer; the first one makes the queue. */
export const consumeQueue: RequestHandler<'queues.consume'> = async ({ store, runtime }, caller, params) => {
  const found = await store.queues.consume(caller, {
    queue: params.queue,
    maxDeliveries: params.max_deliveries ?? null,
    consumersMax: limits.recipientsMax,
    now: runtime.now(),
  })
  if (found === null) {
    throw new MeshError('too_many_recipients', {
      detail: `queue:${params.queue} has ${limits.recipientsMax} consumers already`,
    })
  }
  return { queue: toQueueRecord(found) }
}

/** What the caller had leased goes back, so that others may wait no longer. */
export const leaveQueue: RequestHandler<'queues.leave'> = async ({ store, runtime, wakeQueue }, caller, { queue }) => {
  const found = await store.queues.leave(caller, { queue, now: runtime.now() })
  if (found === null) throw refuseQueue('queue_unknown', queue)
  wakeQueue({ meshId: caller.meshId, queue }, found.waiting)
  return { queue: toQueueRecord(found) }
}

/** For whom a message to a queue is sealed. */
export const listConsumers: RequestHandler<'queues.recipients'> = async ({ store }, { meshId }, { queue }) => {
  const found = await store.queues.listConsumers({ meshId, queue })
  if (found === null) throw refuseQueue('queue_unknown', queue)
  return { recipients_epoch: found.recipientsEpoch, members: [...found.members] }
}

/** Dead messages that the caller can open, as many as one response carries. */
export const listDead: RequestHandler<'queues.dead'> = async ({ store }, caller, { queue, after, limit }) => {
  const page = { queue, after: Number(after ?? 0), limit, bytesMax: responseBytesMax }
  const found = await store.queues.pageDead(caller, page)
  if (found.kind !== 'page') throw refuseQueue(found.kind, queue)
  const items = found.messages.map(toDeadItem)
  return { items, next: found.more ? (items.at(-1)?.history_id ?? null) : null }
}

export const requeueDead: RequestHandler<'queues.requeue'> = async (dependencies, caller, params) => {
  const { store, runtime, wakeQueue } = dependencies
  const { queue, broker_message_ids: brokerMessageIds } = params
  const requeued = await store.queues.requeueDead(caller, { queue, brokerMessageIds, now: runtime.now() })
  if (typeof requeued !== 'number') throw refuseQueue(requeued, queue)
  wakeQueue({ meshId: caller.meshId, queue }, requeued)
  return { requeued }
}

export const dropDead: RequestHandler<'queues.drop'> = async ({ store, runtime }, caller, params) => {
  const { queue, broker_message_ids: brokerMessageIds } = params
  const dropped = await store.queues.dropDead(caller, { queue, brokerMessageIds, now: runtime.now() })
  if (typeof dropped !== 'number') throw refuseQueue(dropped, queue)
  return { dropped }
}

/** The error that a caller gets who may not have what is in a queue. */
export function refuseQueue(refusal: QueueRefusal, queue: string): MeshError {
  switch (refusal) {
    case 'queue_unknown':
      return new MeshError('queue_unknown', { detail: `there is no queue:${queue}` })
    case 'queue_not_consumed':
      return new MeshError('queue_not_consumed', { detail: `only its consumers see what is in queue:${queue}` })
    default:
      return refusal satisfies never
  }
}

function toQueueRecord(queue: Queue): QueueRecord {
  return {
    name: queue.name,
    consumers: queue.consumers,
    consuming: queue.consuming,
    max_deliveries: queue.maxDeliveries,
    waiting: queue.waiting,
    leased: queue.leased,
    dead: queue.dead,
    created_at: queue.createdAt,
  }
}

function toDeadItem({ message, deliveries, consumer, diedAt, reason }: DeadMessage): DeadItem {
  return { ...toHistoryItem(message), deliveries, consumer, died_at: diedAt, reason }
}
