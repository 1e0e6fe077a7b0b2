/** Claims, acknowledgements and receipts. */
import { MeshError } from '@claudemesh/protocol'
import { crashPoint } from '@claudemesh/storage'
import type { Session } from '@claudemesh/storage/postgres'
import { receiptOf } from '../../receipt-of.ts'
import type { MemberKey } from '../../rows.ts'
import type { Acknowledgement, Claimed, ClaimRequest, ReadMark } from '../../store.ts'
import { findMemberStatus } from '../membership/statements.ts'
import { lockMeshes } from '../statements.ts'
import { insertReadMarks } from './read-marks/statements.ts'
import { countOwed, deleteAll, takeDeliveries, takeReceipts } from './statements.ts'

/** Claims messages first, then receipts, within one bound. */
export async function claimNext(session: Session, request: ClaimRequest & { readonly now: number }): Promise<Claimed> {
  const deliveries = request.itemsMax > 0 ? await takeDeliveries(session, request) : []
  const itemsMax = request.itemsMax - deliveries.length
  const receipts = itemsMax > 0 ? await takeReceipts(session, { ...request, itemsMax }) : []
  return { deliveries, receipts }
}

/** @returns the senders for whom a receipt waits now */
export async function acknowledgeAll(
  session: Session,
  acknowledged: { readonly member: MemberKey; readonly items: readonly Acknowledgement[]; readonly at: number },
): Promise<readonly string[]> {
  const { member, at } = acknowledged
  const items = acknowledged.items.map(({ deliveryId, outcome }) => ({ deliveryId, ...receiptOf[outcome] }))
  const owed = await countOwed(
    session,
    member,
    items.map((item) => item.deliveryId),
  )
  // A receipt takes a number of the mesh. Without one nobody has to wait for this.
  if (owed > 0) await lockMeshes(session, [member.meshId])
  const senders = await deleteAll(session, member, { items, at })
  crashPoint('broker.ack.before-commit')
  return [...new Set(senders)]
}

/** @returns the senders for whom a receipt waits now */
export async function recordReadMarks(
  session: Session,
  reported: { readonly member: MemberKey; readonly marks: readonly ReadMark[]; readonly now: number },
): Promise<readonly string[]> {
  const { member } = reported
  await lockMeshes(session, [member.meshId])
  // A request may come to its turn after its member was revoked.
  const status = await findMemberStatus(session, member)
  if (status !== 'active') throw new MeshError(status === 'revoked' ? 'member_revoked' : 'unauthenticated')
  const senders = await insertReadMarks(session, member, reported)
  crashPoint('broker.read.before-commit')
  return [...new Set(senders)]
}
