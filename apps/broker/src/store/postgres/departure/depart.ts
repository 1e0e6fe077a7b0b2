/** Members that go, and what waits for them: see departures.ts for what is promised. The caller holds no lock. */
import assert from 'node:assert/strict'
import { crashPoint } from '@claudemesh/storage'
import type { Session } from '@claudemesh/storage/postgres'
import type { Departure, Departures } from '../../departures.ts'
import type { MemberKey } from '../../rows.ts'
import { beginEpochs, countSubscribers } from '../membership/directory/statements.ts'
import { audit } from '../membership/statements.ts'
import { endConsuming } from '../queues/consumers.ts'
import { lockMeshes } from '../statements.ts'
import {
  deleteForgettable,
  dropWaitingDeliveries,
  dropWaitingReceipts,
  endSubscriptionsOf,
  listDraining,
  listMeshesToForgetIn,
  type Members,
  markMemberLeft,
  markMembersDrained,
} from './statements.ts'

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
export async function leave(
  session: Session,
  key: MemberKey,
  leaving: Batch & { readonly leaseEnded: boolean },
): Promise<Departure | null> {
  const { meshId, memberId } = key
  await lockMeshes(session, [meshId])
  if ((await markMemberLeft(session, key, leaving)) === 0) return null
  const detail = { lease_ended: leaving.leaseEnded }
  await audit(session, { meshId, at: leaving.at }, [{ actor: memberId, action: 'member_left', detail }])
  const departure = await depart(session, { meshId, memberIds: [memberId] }, leaving)
  crashPoint('broker.leave.before-commit')
  return departure
}

/** What changes when members have been marked as gone. The mesh is locked. */
export async function depart(session: Session, gone: Members, batch: Batch): Promise<Departure> {
  const names = await endSubscriptionsOf(session, gone)
  assert.equal(await beginEpochs(session, gone.meshId, names), names.length, 'a subscription is to a topic')
  await endConsuming(session, { ...gone, queue: null })
  const { notified } = await dropWaiting(session, gone, batch)
  return { topics: await countSubscribers(session, gone.meshId, names), notified }
}

/** Drops the next batch of what waits for members that are gone. Whoever sent it is told. The mesh is locked. */
async function dropWaiting(session: Session, gone: Members, { at, rowsMax }: Batch): Promise<Dropped> {
  const dropped = await dropWaitingDeliveries(session, gone, { at, rowsMax })
  const deliveries = dropped.reduce((sum, each) => sum + each.deliveries, 0)
  // Also those that it has just been left about messages to itself.
  const receipts = await dropWaitingReceipts(session, gone, rowsMax - deliveries)
  const counts = new Map(dropped.map(({ memberId, reason, deliveries }) => [memberId, { reason, deliveries }]))
  const receiptsOf = new Map(receipts.map((each) => [each.memberId, each]))
  const entries = [...new Set([...counts.keys(), ...receiptsOf.keys()])].map((memberId) => ({
    actor: 'broker',
    action: 'deliveries_dropped',
    detail: {
      member_id: memberId,
      reason: counts.get(memberId)?.reason ?? receiptsOf.get(memberId)?.reason,
      deliveries: counts.get(memberId)?.deliveries ?? 0,
      receipts: receiptsOf.get(memberId)?.receipts ?? 0,
    },
  }))
  if (entries.length > 0) await audit(session, { meshId: gone.meshId, at }, entries)
  await markMembersDrained(session, gone)
  return {
    rows: deliveries + receipts.reduce((sum, each) => sum + each.receipts, 0),
    notified: [...new Set(dropped.flatMap(({ notified }) => notified))],
  }
}

/** The next batch, over all members that are gone. */
export async function drain(
  session: Session,
  { at, rowsMax }: Batch,
): Promise<{ readonly rows: number; readonly notified: readonly MemberKey[] }> {
  const notified: MemberKey[] = []
  let rows = 0
  for (const gone of await listDraining(session, rowsMax)) {
    if (rows >= rowsMax) break
    await lockMeshes(session, [gone.meshId])
    const dropped = await dropWaiting(session, gone, { at, rowsMax: rowsMax - rows })
    rows += dropped.rows
    for (const memberId of dropped.notified) notified.push({ meshId: gone.meshId, memberId })
  }
  return { rows, notified }
}

/** Forgets members that have no way back: nobody joins again while it is decided. @returns how many */
export async function forgetMembers(
  session: Session,
  options: Parameters<Departures['forgetMembers']>[0],
): Promise<number> {
  const meshIds = await listMeshesToForgetIn(session, options)
  if (meshIds.length === 0) return 0
  await lockMeshes(session, meshIds)
  return deleteForgettable(session, options, meshIds)
}
