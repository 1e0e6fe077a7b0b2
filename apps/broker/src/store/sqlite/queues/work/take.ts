/** Work as it is given out. */
import assert from 'node:assert/strict'
import { crashPoint, type Tx } from '@claudemesh/storage'
import type { DeadMessage, DeadPage, LeasedMessage, QueueRefusal, TakeOutcome, TakeRequest } from '../../../queues.ts'
import type { MemberKey, Message } from '../../../rows.ts'
import type { QueueStatements } from '../statements.ts'
import type { WorkStatements } from './statements.ts'

export interface TakeStatements {
  readonly queues: QueueStatements
  readonly work: WorkStatements
}

/** What a take comes to when nothing can be taken; null: something can. It writes nothing. */
export function findNothingDue(statements: TakeStatements, request: TakeRequest): TakeOutcome | null {
  const refusal = judgeConsumer(statements, request, request.queue)
  if (refusal !== null) return { kind: refusal }
  if (statements.work.due(request, 1).length > 0) return null
  return { kind: 'taken', messages: [], nextAt: statements.work.nextAt(request) }
}

/** Leases what is due, as much as the request takes. */
export function take(tx: Tx, statements: TakeStatements, request: TakeRequest): TakeOutcome {
  const { queues, work } = statements
  const refusal = judgeConsumer(statements, request, request.queue)
  if (refusal !== null) return { kind: refusal }
  const { taken: due } = withinBounds(work.due(request, request.limit), request)
  const maxDeliveries = queues.findTerms(request.meshId, request.queue)?.maxDeliveries
  assert(maxDeliveries !== undefined, 'whoever consumes consumes a queue')
  for (const { message } of due) {
    assert.equal(work.lease(request, { message, maxDeliveries }), 1, 'what is due can be leased')
  }
  crashPoint('broker.take.before-commit')
  tx.afterCommit(() => crashPoint('broker.take.after-commit'))
  const { leaseId, now, leaseMs } = request
  const messages = due.map(
    ({ message, deliveries }): LeasedMessage => ({
      message,
      leaseId,
      leaseUntil: now + leaseMs,
      deliveries: deliveries + 1,
    }),
  )
  return { kind: 'taken', messages, nextAt: messages.length > 0 ? null : work.nextAt(request) }
}

/** The next dead messages that a consumer can open. */
export function readDead(
  statements: TakeStatements,
  key: MemberKey,
  page: DeadPage,
):
  | { readonly kind: 'page'; readonly messages: readonly DeadMessage[]; readonly more: boolean }
  | { readonly kind: QueueRefusal } {
  const refusal = judgeConsumer(statements, key, page.queue)
  if (refusal !== null) return { kind: refusal }
  const { taken, more } = withinBounds(statements.work.dead(key, page), page)
  return { kind: 'page', messages: taken, more }
}

/** Only a consumer may see or change what is in a queue. */
export function judgeConsumer(
  { queues }: Pick<TakeStatements, 'queues'>,
  key: MemberKey,
  queue: string,
): QueueRefusal | null {
  if (queues.isConsumer(key, queue)) return null
  return queues.findTerms(key.meshId, queue) === null ? 'queue_unknown' : 'queue_not_consumed'
}

/** The first ones within the bounds, at least one; `more`: there are others. */
function withinBounds<T extends { readonly message: Message }>(
  found: Iterable<T>,
  { limit, bytesMax }: { readonly limit: number; readonly bytesMax: number },
): { readonly taken: readonly T[]; readonly more: boolean } {
  const taken: T[] = []
  let bytes = 0
  for (const each of found) {
    bytes += each.message.sealed.length
    if (taken.length === limit || (taken.length > 0 && bytes > bytesMax)) return { taken, more: true }
    taken.push(each)
  }
  return { taken, more: false }
}
