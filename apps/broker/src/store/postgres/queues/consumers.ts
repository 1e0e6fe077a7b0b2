/** Who consumes a queue. Whatever changes it takes the lock of the mesh first. */
import assert from 'node:assert/strict'
import { MeshError, limits as wire } from '@claudemesh/protocol'
import type { Session } from '@claudemesh/storage/postgres'
import type { Queue } from '../../queues.ts'
import type { MemberKey } from '../../rows.ts'
import { findMemberStatus } from '../membership/statements.ts'
import { lockMeshes } from '../statements.ts'
import {
  addConsumer,
  deletePastConsumers,
  findQueue,
  findTerms,
  releaseLeasesOf,
  removeConsumers,
  saveQueue,
} from './statements.ts'

/** @returns null when the queue has as many other consumers as it can have */
export async function consume(
  session: Session,
  key: MemberKey,
  change: {
    readonly queue: string
    readonly maxDeliveries: number | null
    readonly consumersMax: number
    readonly now: number
  },
): Promise<Queue | null> {
  const { queue, maxDeliveries, now } = change
  await lockMeshes(session, [key.meshId])
  // A request may come to its turn after its member was revoked: nobody who is gone gets into a set of recipients.
  const status = await findMemberStatus(session, key)
  if (status !== 'active') throw new MeshError(status === 'revoked' ? 'member_revoked' : 'unauthenticated')
  const terms = await findTerms(session, key, queue)
  if (terms?.consuming !== true && (terms?.consumers ?? 0) >= change.consumersMax) return null
  const { queueDeliveriesDefault: maxDeliveriesDefault } = wire
  await saveQueue(session, key, { name: queue, maxDeliveries, maxDeliveriesDefault, at: now })
  if (terms?.consuming !== true) {
    await deletePastConsumers(session, key.meshId, [queue])
    assert.equal(await addConsumer(session, key, { queue, at: now }), 1, 'the queue is there')
  }
  const found = await findQueue(session, key, { queue, now })
  assert(found !== null, 'the queue is there')
  return found
}

/** @returns null when there is no such queue */
export async function stopConsuming(
  session: Session,
  key: MemberKey,
  { queue, now }: { readonly queue: string; readonly now: number },
): Promise<Queue | null> {
  const { meshId, memberId } = key
  await lockMeshes(session, [meshId])
  await endConsuming(session, { meshId, memberIds: [memberId], queue })
  return findQueue(session, key, { queue, now })
}

/** Members that go, or leave one queue (null: all), consume it no more. The mesh is locked. */
export async function endConsuming(
  session: Session,
  gone: { readonly meshId: string; readonly memberIds: readonly string[]; readonly queue: string | null },
): Promise<void> {
  const { meshId, memberIds } = gone
  const queues = await removeConsumers(session, gone)
  if (queues.length === 0) return
  await releaseLeasesOf(session, { meshId, memberIds, queues })
  await deletePastConsumers(session, meshId, queues)
}
