/** Who consumes a queue. */
import assert from 'node:assert/strict'
import { MeshError, limits as wire } from '@claudemesh/protocol'
import type { Queue } from '../../queues.ts'
import type { MemberKey } from '../../rows.ts'
import type { DirectoryStatements } from '../membership/statements.ts'
import type { Counters } from '../statements.ts'
import type { QueueStatements } from './statements.ts'

export interface ConsumerStatements {
  readonly queues: QueueStatements
  readonly counters: Counters
}

/** @returns null when the queue has as many other consumers as it can have */
export function consume(
  statements: ConsumerStatements & { readonly directory: DirectoryStatements },
  key: MemberKey,
  change: {
    readonly queue: string
    readonly maxDeliveries: number | null
    readonly consumersMax: number
    readonly now: number
  },
): Queue | null {
  const { queues, directory } = statements
  const { queue, now } = change
  // A request may come to its turn after its member was revoked: nobody who is gone gets into a set of recipients.
  const status = directory.memberStatus(key)
  if (status !== 'active') throw new MeshError(status === 'revoked' ? 'member_revoked' : 'unauthenticated')
  const maxDeliveries = change.maxDeliveries ?? wire.queueDeliveriesDefault
  queues.insertQueue(key, { name: queue, maxDeliveries, at: now })
  if (change.maxDeliveries !== null) {
    assert.equal(queues.setMaxDeliveries(key.meshId, { name: queue, maxDeliveries }), 1, 'the queue is there')
  }
  if (!queues.isConsumer(key, queue)) {
    const terms = queues.findTerms(key.meshId, queue)
    assert(terms !== null, 'the queue is there')
    if (terms.consumers >= change.consumersMax) return null
    queues.deletePast(key.meshId, queue)
    queues.insertConsumer(key, { queue, sinceHistoryId: lastHistoryId(statements, key.meshId), at: now })
    assert.equal(queues.countChange(key.meshId, { queue, consumers: 1 }), 1, 'the queue is there')
  }
  return readQueue(queues, key, change)
}

/** @returns null when there is no such queue */
export function stopConsuming(
  statements: ConsumerStatements,
  key: MemberKey,
  change: { readonly queue: string; readonly now: number },
): Queue | null {
  const { queues } = statements
  if (queues.findTerms(key.meshId, change.queue) === null) return null
  if (queues.isConsumer(key, change.queue)) endOne(statements, key, change.queue)
  return readQueue(queues, key, change)
}

/** A member that goes consumes nothing any more. */
export function endConsuming(statements: ConsumerStatements, key: MemberKey): void {
  for (const queue of statements.queues.listConsumed(key)) endOne(statements, key, queue)
}

function endOne(statements: ConsumerStatements, key: MemberKey, queue: string): void {
  const { queues } = statements
  const end = { queue, lastHistoryId: lastHistoryId(statements, key.meshId) }
  assert.equal(queues.endConsumer(key, end), 1, 'it was a consumer')
  assert.equal(queues.countChange(key.meshId, { queue, consumers: -1 }), 1, 'whoever consumes consumes a queue')
  queues.releaseLeases(key, queue)
  queues.deletePast(key.meshId, queue)
}

function lastHistoryId({ counters }: ConsumerStatements, meshId: string): number {
  const last = counters.read(meshId)?.lastHistoryId
  assert(last !== undefined, 'the mesh of a member is registered')
  return last
}

function readQueue(
  queues: QueueStatements,
  key: MemberKey,
  about: { readonly queue: string; readonly now: number },
): Queue {
  const found = queues.findQueue(key, { queue: about.queue, now: about.now })
  assert(found !== null, 'the queue is there')
  return found
}
