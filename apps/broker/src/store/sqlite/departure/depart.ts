/** Members that go, and what waits for them: see departures.ts for what is promised. */
import assert from 'node:assert/strict'
import { crashPoint } from '@claudemesh/storage'
import type { Departure, Departures } from '../../departures.ts'
import type { MemberKey } from '../../rows.ts'
import { leaveReceipt } from '../deliveries/deliveries.ts'
import type { DeliveryStatements } from '../deliveries/statements.ts'
import type { AdmissionStatements, DirectoryStatements } from '../membership/statements.ts'
import { endConsuming } from '../queues/consumers.ts'
import type { QueueStatements } from '../queues/statements.ts'
import type { Counters } from '../statements.ts'
import type { DepartureStatements } from './statements.ts'

export interface DepartStatements {
  readonly departure: DepartureStatements
  readonly deliveries: DeliveryStatements
  readonly directory: DirectoryStatements
  readonly admission: AdmissionStatements
  readonly queues: QueueStatements
  readonly counters: Counters
}

interface Batch {
  readonly at: number
  readonly rowsMax: number
}

/** How far a batch has come. */
interface Dropped {
  readonly rows: number
  /** The members for whom a receipt waits now. */
  readonly notified: readonly string[]
}

/** @returns null when the member is not active, or its lease is not over though it is to go for that */
export function leave(
  statements: DepartStatements,
  key: MemberKey,
  leaving: Batch & { readonly leaseEnded: boolean },
): Departure | null {
  const { departure, admission } = statements
  const changes = leaving.leaseEnded ? departure.markAway(key, leaving.at) : departure.markLeft(key)
  if (changes === 0) return null
  const { meshId, memberId } = key
  const detail = { lease_ended: leaving.leaseEnded }
  admission.audit({ meshId, at: leaving.at, actor: memberId, action: 'member_left', detail })
  const names = endSubscriptions(statements, key)
  endConsuming(statements, key)
  const { notified } = dropWaiting(statements, { ...key, status: 'left' }, leaving)
  crashPoint('broker.leave.before-commit')
  return { topics: readTopics(statements, meshId, names), notified }
}

/** Every change of a topic's subscribers is a new epoch of its recipients. @returns the topics */
export function endSubscriptions(statements: DepartStatements, key: MemberKey): readonly string[] {
  const topics = statements.departure.deleteSubscriptions(key)
  for (const topic of topics) {
    assert.equal(statements.directory.bumpEpoch(key.meshId, topic), 1, 'a subscription is to a topic')
  }
  return topics
}

/** The topics of those names, as they are once whoever goes has gone. */
export function readTopics(
  { directory }: DepartStatements,
  meshId: string,
  names: readonly string[],
): Departure['topics'] {
  return names.map((name) => ({ name, subscribers: directory.countSubscribers(meshId, name) }))
}

/** Drops the next batch of what waits for a member that is gone. Whoever sent it is told. */
export function dropWaiting(
  statements: DepartStatements,
  gone: MemberKey & { readonly status: 'left' | 'revoked' },
  { at, rowsMax }: Batch,
): Dropped {
  const { departure, deliveries } = statements
  const { meshId, memberId, status } = gone
  const waiting = departure.listWaiting(gone, rowsMax)
  const notified = new Set<string>()
  for (const deliveryId of waiting) {
    const brokerMessageId = deliveries.deleteDelivery(gone, deliveryId)
    assert(brokerMessageId !== null, 'what waits was there a moment ago')
    const fact = { meshId, brokerMessageId, recipient: memberId, state: 'undeliverable', reason: status, at } as const
    const told = leaveReceipt(statements, fact)
    if (told !== null) notified.add(told)
  }
  // Also those that it has just been left about messages to itself.
  const receipts = departure.deleteReceipts(gone, rowsMax - waiting.length)
  const rows = waiting.length + receipts
  if (rows > 0) {
    const detail = { member_id: memberId, reason: status, deliveries: waiting.length, receipts }
    statements.admission.audit({ meshId, at, actor: 'broker', action: 'deliveries_dropped', detail })
  }
  if (rows < rowsMax) assert.equal(departure.markDrained(gone), 1, 'whoever is drained was draining')
  return { rows, notified: [...notified] }
}

/** The next batch, over all members that are gone. */
export function drain(
  statements: DepartStatements,
  { at, rowsMax }: Batch,
): { readonly rows: number; readonly notified: readonly MemberKey[] } {
  const notified = new Map<string, MemberKey>()
  let rows = 0
  for (const gone of statements.departure.listDraining(rowsMax)) {
    if (rows >= rowsMax) break
    const dropped = dropWaiting(statements, gone, { at, rowsMax: rowsMax - rows })
    rows += dropped.rows
    for (const memberId of dropped.notified) {
      notified.set(`${gone.meshId}/${memberId}`, { meshId: gone.meshId, memberId })
    }
  }
  return { rows, notified: [...notified.values()] }
}

/** Forgets members that have no way back. @returns how many */
export function forgetMembers(
  { departure }: DepartStatements,
  { now, dedupeRetentionDays: days, rowsMax: limit }: Parameters<Departures['forgetMembers']>[0],
): number {
  const forgotten = departure.listForgettable({ now, days, limit })
  for (const key of forgotten) assert.equal(departure.deleteMember(key), 1, 'whoever is forgotten had left')
  return forgotten.length
}
