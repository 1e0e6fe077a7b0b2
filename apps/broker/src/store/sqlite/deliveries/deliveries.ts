/** Claims, acknowledgements and receipts, and the history of one member. */
import assert from 'node:assert/strict'
import { crashPoint, type Tx } from '@claudemesh/storage'
import { receiptOf } from '../../receipt-of.ts'
import type { Delivery, MemberKey, Message, Receipt } from '../../rows.ts'
import type { Acknowledgement, Claimed, ClaimRequest, HistoryPage } from '../../store.ts'
import type { Leases } from '../leases.ts'
import type { Counters } from '../statements.ts'
import type { DeliveryStatements } from './statements.ts'

export interface LeaseBooks {
  readonly deliveries: Leases
  readonly receipts: Leases
}

/** Claims messages first, then receipts, within one bound. It writes nothing: see leases.ts. */
export function claimNext(statements: DeliveryStatements, leases: LeaseBooks, request: ClaimRequest): Claimed {
  const deliveries = takeDeliveries(statements, leases.deliveries, request)
  const receipts = takeReceipts(statements, leases.receipts, {
    ...request,
    itemsMax: request.itemsMax - deliveries.length,
  })
  return { deliveries, receipts }
}

function takeDeliveries(statements: DeliveryStatements, leases: Leases, request: ClaimRequest): readonly Delivery[] {
  const taken: Delivery[] = []
  let bytes = 0
  if (request.itemsMax <= 0) return taken
  for (const delivery of statements.deliveriesAfter(request, leases.frontier(request))) {
    if (leases.isLeased(request, delivery.deliveryId)) continue
    bytes += delivery.message.sealed.length
    if (taken.length > 0 && bytes > request.bytesMax) break
    taken.push(delivery)
    if (taken.length === request.itemsMax) break
  }
  leases.take(request, { ...request, deliveryIds: taken.map((delivery) => delivery.deliveryId) })
  return taken
}

function takeReceipts(statements: DeliveryStatements, leases: Leases, request: ClaimRequest): readonly Receipt[] {
  const taken: Receipt[] = []
  if (request.itemsMax <= 0) return taken
  for (const receipt of statements.receiptsAfter(request, leases.frontier(request))) {
    if (leases.isLeased(request, receipt.deliveryId)) continue
    taken.push(receipt)
    if (taken.length === request.itemsMax) break
  }
  leases.take(request, { ...request, deliveryIds: taken.map((receipt) => receipt.deliveryId) })
  return taken
}

/** @returns the senders for whom a receipt waits now */
export function acknowledgeAll(
  tx: Tx,
  statements: { readonly deliveries: DeliveryStatements; readonly counters: Counters },
  acknowledged: { readonly member: MemberKey; readonly items: readonly Acknowledgement[]; readonly at: number },
): readonly string[] {
  const { member, items, at } = acknowledged
  const notified = new Set<string>()
  for (const { deliveryId, outcome } of items) {
    const brokerMessageId = statements.deliveries.deleteDelivery(member, deliveryId)
    if (brokerMessageId === null) {
      statements.deliveries.deleteReceipt(member, deliveryId)
      continue
    }
    const told = leaveReceipt(statements, {
      meshId: member.meshId,
      brokerMessageId,
      recipient: member.memberId,
      ...receiptOf[outcome],
      at,
    })
    if (told !== null) notified.add(told)
  }
  crashPoint('broker.ack.before-commit')
  tx.afterCommit(() => crashPoint('broker.ack.after-commit'))
  return [...notified]
}

/** What is proven of one message at one recipient. */
interface Fact {
  readonly meshId: string
  readonly brokerMessageId: string
  readonly recipient: string
  readonly state: Receipt['state']
  readonly reason: string | null
  readonly at: number
}

interface ReceiptStatements {
  readonly deliveries: DeliveryStatements
  readonly counters: Counters
}

/** Leaves a receipt for the sender of a message unless the message asked for none. @returns the sender, or null */
export function leaveReceipt(statements: ReceiptStatements, fact: Fact): string | null {
  const origin = statements.deliveries.findOrigin(fact.brokerMessageId)
  assert(origin !== undefined, 'a message outlives its deliveries')
  return leaveReceiptFor(statements, origin, fact)
}

/** As `leaveReceipt`, for a message that has been looked up. */
export function leaveReceiptFor(
  statements: ReceiptStatements,
  origin: { readonly sender: string; readonly clientMessageId: string; readonly receipts: number },
  fact: Fact,
): string | null {
  if (origin.receipts === 0) return null
  const deliveryId = statements.counters.takeDeliveryId(fact.meshId)
  assert(deliveryId !== undefined, 'a mesh with messages is registered')
  statements.deliveries.insertReceipt(
    { meshId: fact.meshId, memberId: origin.sender },
    {
      deliveryId,
      brokerMessageId: fact.brokerMessageId,
      clientMessageId: origin.clientMessageId,
      recipient: fact.recipient,
      state: fact.state,
      reason: fact.reason,
      at: fact.at,
    },
  )
  return origin.sender
}

/**
 * The next messages of a member's own history. Of each of its destinations the next few positions are read from an
 * index and merged; only then the messages themselves, as many as the page may carry.
 */
export function readHistory(
  statements: DeliveryStatements,
  member: MemberKey,
  page: HistoryPage,
): { readonly messages: readonly Message[]; readonly more: boolean } {
  const positions = listPositions(statements, member, page)
  const messages: Message[] = []
  let bytes = 0
  for (const historyId of positions.slice(0, page.limit)) {
    const message = statements.findByHistoryId(member.meshId, historyId)
    assert(message !== null, 'a position in the history leads to its message')
    bytes += message.sealed.length
    if (messages.length > 0 && bytes > page.bytesMax) break
    messages.push(message)
  }
  return { messages, more: messages.length < positions.length }
}

/** At least one position more than the page takes, if there is one. */
function listPositions(
  statements: DeliveryStatements,
  { meshId, memberId }: MemberKey,
  page: HistoryPage,
): readonly number[] {
  const { after, since } = page
  const limit = page.limit + 1
  const dms = statements.historyIdsOf({ meshId, kind: 'dm', ref: memberId }, { after, since, except: '', limit })
  const posts = statements.readableTopics({ meshId, memberId }).flatMap(({ topic, sinceHistoryId }) =>
    statements.historyIdsOf(
      { meshId, kind: 'topic', ref: topic },
      // A sender is no recipient of its own post.
      { after: Math.max(after, sinceHistoryId), since, except: memberId, limit },
    ),
  )
  return [...dms, ...posts].sort((left, right) => left - right)
}
