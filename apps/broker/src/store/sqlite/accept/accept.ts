/**
 * B2 and B3 of accepting (02 §9) on SQLite.
 *
 * One writer holds the database from the first statement to the commit, so nothing can happen between a look and the
 * write that follows from it. Therefore the destination is judged first and the id claimed after it: a rejected item
 * has nothing to be taken back, and no number of the history is spent on it. An id that is taken already goes before any
 * rejection all the same: whoever lost a race for it must hear of the message that won, not of what has changed since.
 */
import assert from 'node:assert/strict'
import type { Tx } from '@claudemesh/storage'
import { crashPoint } from '@claudemesh/storage'
import type { AcceptItem, AcceptOutcome } from '../../store.ts'
import type { QueueStatements } from '../queues/statements.ts'
import type { WorkStatements } from '../queues/work/statements.ts'
import type { Counters } from '../statements.ts'
import type { AcceptStatements } from './statements.ts'

/** What accepting reads and writes. */
export interface AcceptTables {
  readonly accept: AcceptStatements
  readonly queues: QueueStatements
  readonly work: WorkStatements
  readonly counters: Counters
}

interface Numbers {
  lastHistoryId: number
  lastDeliveryId: number
}

/** Accepts items in their order. A throw leaves the transaction to be rolled back: nothing of any item is kept. */
export function acceptAll(tx: Tx, statements: AcceptTables, items: readonly AcceptItem[]): readonly AcceptOutcome[] {
  const { accept, counters } = statements
  const meshes = new Map<string, MeshView>()
  const outcomes = items.map((item): AcceptOutcome => {
    const mesh = memoize(meshes, item.meshId, () => new MeshView(statements, item.meshId))
    const refusal = judgeSender(mesh, item) ?? judgeDestination(mesh, item)
    if (refusal !== null) return findKnown(accept, item) ?? refusal
    return store(statements, item, mesh.numbers)
  })
  for (const { meshId, takenNumbers } of meshes.values()) {
    if (takenNumbers === null) continue
    assert.equal(counters.write(meshId, takenNumbers), 1, 'the numbers of a mesh are kept in one row')
  }
  crashPoint('broker.accept.before-commit')
  tx.afterCommit(() => crashPoint('broker.accept.after-commit'))
  return outcomes
}

function findKnown(accept: AcceptStatements, item: AcceptItem): AcceptOutcome | null {
  const accepted = accept.findAccepted(item)
  return accepted === null ? null : { kind: 'known', accepted }
}

/** Its connection was good when the message came in; it may have been revoked since. */
function judgeSender(mesh: MeshView, { sender }: AcceptItem): AcceptOutcome | null {
  const status = mesh.memberStatus(sender)
  if (status === 'active') return null
  return { kind: status === 'revoked' ? 'sender_revoked' : 'sender_left' }
}

function judgeDestination(mesh: MeshView, item: AcceptItem): AcceptOutcome | null {
  if (item.destination.kind === 'dm') {
    const status = mesh.memberStatus(item.destination.ref)
    if (status === 'active') return null
    return { kind: status === 'revoked' ? 'recipient_revoked' : 'recipient_unknown' }
  }
  if (item.destination.kind === 'queue') {
    const queue = mesh.queueTerms(item.destination.ref)
    if (queue === null) return { kind: 'queue_unknown' }
    const { recipientsEpoch, consumers } = queue
    // What nobody consumes now nobody who comes later could open.
    if (consumers > 0 && (item.recipientsEpoch ?? recipientsEpoch) === recipientsEpoch) return null
    return { kind: 'recipients_stale', recipientsEpoch }
  }
  const epoch = mesh.topicEpoch(item.destination.ref)
  if (epoch === null) return { kind: 'topic_unknown' }
  if (item.recipientsEpoch === null || item.recipientsEpoch === epoch) return null
  return { kind: 'recipients_stale', recipientsEpoch: epoch }
}

/**
 * A mesh as one batch sees it. Senders and what they address are looked up once: accepting changes no member, no topic
 * and no queue. Its numbers are read when the first one is given.
 */
class MeshView {
  readonly meshId: string
  readonly #statements: AcceptTables
  readonly #statusOf = new Map<string, ReturnType<AcceptStatements['memberStatus']>>()
  readonly #epochOf = new Map<string, number | null>()
  readonly #queueOf = new Map<string, ReturnType<QueueStatements['findTerms']>>()
  #numbers: Numbers | null = null

  constructor(statements: AcceptTables, meshId: string) {
    this.#statements = statements
    this.meshId = meshId
  }

  /** The last ones given; whoever gives others writes them here. */
  get numbers(): Numbers {
    this.#numbers ??= readNumbers(this.#statements.counters, this.meshId)
    return this.#numbers
  }

  /** Null: none was asked for. */
  get takenNumbers(): Numbers | null {
    return this.#numbers
  }

  memberStatus(memberId: string): ReturnType<AcceptStatements['memberStatus']> {
    return memoize(this.#statusOf, memberId, () => this.#statements.accept.memberStatus(this.meshId, memberId))
  }

  topicEpoch(topic: string): number | null {
    return memoize(this.#epochOf, topic, () => this.#statements.accept.topicEpoch(this.meshId, topic))
  }

  queueTerms(queue: string): ReturnType<QueueStatements['findTerms']> {
    return memoize(this.#queueOf, queue, () => this.#statements.queues.findTerms(this.meshId, queue))
  }
}

function memoize<V>(known: Map<string, V>, key: string, find: () => V): V {
  const found = known.get(key)
  if (found !== undefined) return found
  const value = find()
  known.set(key, value)
  return value
}

function store({ accept, work }: AcceptTables, item: AcceptItem, numbers: Numbers): AcceptOutcome {
  const historyId = numbers.lastHistoryId + 1
  const { kind } = item.destination
  if (accept.insertDedupe(item, { historyId, recipientCount: kind === 'topic' ? 0 : 1 }) === 0) {
    const known = findKnown(accept, item)
    assert(known !== null, 'an id that cannot be claimed is there')
    return known
  }
  if (kind === 'queue') work.insertMessage(item, historyId)
  else accept.insertMessage(item, historyId)
  crashPoint('broker.accept.after-message')
  accept.insertHistory(item, historyId)
  const recipients = storeDeliveries(accept, item, numbers)
  for (const mentioned of item.mentions) accept.insertMention(item, mentioned)
  numbers.lastHistoryId = historyId
  return { kind: 'stored', brokerMessageId: item.brokerMessageId, historyId, recipients }
}

/** @returns whom it is delivered to */
function storeDeliveries(accept: AcceptStatements, item: AcceptItem, numbers: Numbers): readonly string[] {
  const { kind } = item.destination
  switch (kind) {
    case 'dm':
      return storeForOne(accept, item, numbers)
    case 'topic':
      return storeForSubscribers(accept, item, numbers)
    case 'queue':
      return []
    default:
      return kind satisfies never
  }
}

function storeForOne(accept: AcceptStatements, item: AcceptItem, numbers: Numbers): readonly string[] {
  numbers.lastDeliveryId += 1
  const recipient = item.destination.ref
  accept.insertDelivery(item, { recipient, deliveryId: numbers.lastDeliveryId })
  return [recipient]
}

function storeForSubscribers(accept: AcceptStatements, item: AcceptItem, numbers: Numbers): readonly string[] {
  const recipients = accept.insertTopicDeliveries(item, numbers.lastDeliveryId)
  numbers.lastDeliveryId += recipients.length
  if (recipients.length > 0) {
    assert.equal(accept.setRecipientCount(item, recipients.length), 1, 'the dedupe row was inserted above')
  }
  return recipients
}

function readNumbers(counters: Counters, meshId: string): Numbers {
  const numbers = counters.read(meshId)
  assert(numbers !== undefined, 'a mesh that accepts messages is registered')
  return { ...numbers }
}
