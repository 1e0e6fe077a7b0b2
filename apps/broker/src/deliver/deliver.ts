/**
 * Delivering: what waits in the store is claimed with a lease, pushed, and deleted when the recipient says that it has
 * stored it.
 *
 * 1. The queue in the store is the truth. A wake-up is a hint: one that is lost delays a delivery until the next
 *    look, and loses nothing.
 * 2. Pushed in the order of delivery ids, and again in that order after a lease is over or the connection is gone.
 * 3. Unacknowledged deliveries of a connection are bounded in number and bytes, so that a member that comes back to
 *    a million messages is served within the same memory as one that comes back to ten.
 * 4. A peer that neither reads nor acknowledges for `slowConsumerMs` is closed (4008); nothing of it is lost.
 */
import type { BrokerFrame, CloseName, DeliveryItem, Frame, ReceiptItem } from '@claudemesh/protocol'
import { limits } from '@claudemesh/protocol'
import { deliverBytesMax, outgoingBytesHigh, unacknowledgedBytesMax, unacknowledgedItemsMax } from '../limits.ts'
import type { Runtime } from '../runtime.ts'
import type { Delivery, MemberKey, Receipt } from '../store/rows.ts'
import type { Acknowledgement, Claimed, Store } from '../store/store.ts'

/** The connection of a recipient, as far as delivering needs it. */
export interface Target extends MemberKey {
  readonly connectionId: string
  /** Bytes written and not yet taken by the network. */
  readonly outgoingBytes: number
  /** @param written called when the network has taken the frame */
  send(frame: BrokerFrame, written?: () => void): void
  close(name: CloseName): void
}

/** One connection and what was pushed to it. */
interface Lane {
  readonly target: Target
  /** Delivery id to its size and when it was pushed, oldest first. */
  readonly unacknowledged: Map<number, { readonly bytes: number; readonly pushedAt: number }>
  bytes: number
  /** Something may wait in the store. */
  dirty: boolean
  /** What is under way; null: nothing. */
  pumping: Promise<void> | null
  /** When the peer last acknowledged something, or had nothing to acknowledge. */
  progressAt: number
  /** Since when the network takes nothing more; null while it does. */
  blockedAt: number | null
}

/** The part of the store that delivering needs. */
export type DeliveryStore = Pick<Store, 'claim' | 'acknowledge' | 'releaseClaims'>

export class Deliverer {
  readonly #options: {
    readonly store: DeliveryStore
    readonly runtime: Runtime
    readonly leaseMs: number
    readonly slowConsumerMs: number
    readonly wakeElsewhere: (member: MemberKey) => void
    readonly report: (error: unknown) => void
  }
  readonly #lanes = new Map<string, Lane>()
  readonly #lanesOf = new Map<string, Set<Lane>>()

  constructor(options: {
    readonly store: DeliveryStore
    readonly runtime: Runtime
    readonly leaseMs: number
    readonly slowConsumerMs: number
    /** Something may wait for this member at another node. */
    readonly wakeElsewhere: (member: MemberKey) => void
    /** Told of failures of the store; what was to be delivered or deleted is tried again. */
    readonly report: (error: unknown) => void
  }) {
    this.#options = options
  }

  /** Begins to deliver to a connection. */
  attach(target: Target): void {
    const lane: Lane = {
      target,
      unacknowledged: new Map(),
      bytes: 0,
      dirty: true,
      pumping: null,
      progressAt: this.#options.runtime.monotonicMs(),
      blockedAt: null,
    }
    this.#lanes.set(target.connectionId, lane)
    const lanes = this.#lanesOf.get(laneKey(target)) ?? new Set()
    this.#lanesOf.set(laneKey(target), lanes.add(lane))
    this.#pump(lane)
  }

  /** The connection is gone: what it had claimed is free when this returns, for another connection of the member. */
  async detach(target: Target): Promise<void> {
    const lane = this.#lanes.get(target.connectionId)
    if (lane === undefined) return
    this.#lanes.delete(target.connectionId)
    const lanes = this.#lanesOf.get(laneKey(target))
    lanes?.delete(lane)
    if (lanes?.size === 0) this.#lanesOf.delete(laneKey(target))
    // What it is claiming at this moment is given back as well.
    await lane.pumping
    await this.#options.store.releaseClaims(target, target.connectionId)
    this.wakeEverywhere(target)
  }

  /** As `wake`, at every node. */
  wakeEverywhere(member: MemberKey): void {
    this.wake(member)
    this.#options.wakeElsewhere(member)
  }

  /** Something may wait for this member. */
  wake(member: MemberKey): void {
    for (const lane of this.#lanesOf.get(laneKey(member)) ?? []) {
      lane.dirty = true
      this.#pump(lane)
    }
  }

  /** Deletes what the member has stored, then lets the next ones through and the senders know. */
  async acknowledge(target: Target, items: Frame<'deliver_ack'>['items']): Promise<void> {
    const acknowledgements = items.flatMap(({ delivery_id: id, outcome }): Acknowledgement[] =>
      deliveryIdRegExp.test(id) ? [{ deliveryId: Number(id), outcome }] : [],
    )
    const notified = await this.#store(target, acknowledgements)
    if (notified === null) return
    const lane = this.#lanes.get(target.connectionId)
    if (lane !== undefined) {
      for (const { deliveryId } of acknowledgements) forget(lane, deliveryId)
      lane.progressAt = this.#options.runtime.monotonicMs()
      this.#pump(lane)
    }
    for (const memberId of notified) this.wakeEverywhere({ meshId: target.meshId, memberId })
  }

  /** @returns null when the store failed: then nothing was deleted, and it all comes again when its lease is over */
  async #store(target: Target, items: readonly Acknowledgement[]): Promise<readonly string[] | null> {
    try {
      return await this.#options.store.acknowledge(target, items)
    } catch (error) {
      this.#options.report(error)
      return null
    }
  }

  /** Looks for leases that are over and for peers that do not drain. To be called every second or so. */
  watch(): void {
    const now = this.#options.runtime.monotonicMs()
    for (const lane of this.#lanes.values()) {
      if (this.#isSlow(lane, now)) {
        lane.target.close('slow_consumer')
        continue
      }
      for (const [deliveryId, { pushedAt }] of lane.unacknowledged) {
        if (now - pushedAt < this.#options.leaseMs) break
        forget(lane, deliveryId)
        lane.dirty = true
      }
      this.#pump(lane)
    }
  }

  /** Deliveries that are pushed and not acknowledged, over all connections. */
  get unacknowledged(): number {
    let sum = 0
    for (const lane of this.#lanes.values()) sum += lane.unacknowledged.size
    return sum
  }

  #isSlow(lane: Lane, now: number): boolean {
    const { slowConsumerMs } = this.#options
    lane.blockedAt = lane.target.outgoingBytes < outgoingBytesHigh ? null : (lane.blockedAt ?? now)
    if (lane.blockedAt !== null && now - lane.blockedAt >= slowConsumerMs) return true
    return !hasRoom(lane) && now - lane.progressAt >= slowConsumerMs
  }

  #pump(lane: Lane): void {
    if (lane.pumping !== null || !mayPush(lane)) return
    lane.pumping = this.#pushWaiting(lane).then(
      () => {
        lane.pumping = null
        // A wake-up may have come between the last claim and this line.
        this.#pump(lane)
      },
      (error: unknown) => {
        // The next look of `watch` tries again.
        lane.pumping = null
        lane.dirty = true
        this.#options.report(error)
      },
    )
  }

  async #pushWaiting(lane: Lane): Promise<void> {
    const { target } = lane
    while (mayPush(lane)) {
      lane.dirty = false
      const claimed = await this.#options.store.claim({
        meshId: target.meshId,
        memberId: target.memberId,
        connectionId: target.connectionId,
        leaseMs: this.#options.leaseMs,
        itemsMax: Math.min(limits.itemsPerFrameMax, unacknowledgedItemsMax - lane.unacknowledged.size),
        bytesMax: Math.min(deliverBytesMax, unacknowledgedBytesMax - lane.bytes),
      })
      if (this.#lanes.get(target.connectionId) !== lane) {
        // It went away meanwhile, and what has just been claimed was not among what `detach` gave back.
        await this.#options.store.releaseClaims(target, target.connectionId)
        this.wakeEverywhere(target)
        return
      }
      if (claimed.deliveries.length === 0 && claimed.receipts.length === 0) continue
      lane.dirty = true
      this.#push(lane, claimed)
    }
  }

  #push(lane: Lane, claimed: Claimed): void {
    const pushedAt = this.#options.runtime.monotonicMs()
    if (lane.unacknowledged.size === 0) lane.progressAt = pushedAt
    for (const { deliveryId, message } of claimed.deliveries) {
      remember(lane, deliveryId, { bytes: message.sealed.length, pushedAt })
    }
    for (const { deliveryId } of claimed.receipts) remember(lane, deliveryId, { bytes: 0, pushedAt })
    const written = () => this.#pump(lane)
    if (claimed.deliveries.length > 0) {
      lane.target.send({ type: 'deliver', items: claimed.deliveries.map(toDeliveryItem) }, written)
    }
    if (claimed.receipts.length > 0) {
      lane.target.send({ type: 'receipts', items: claimed.receipts.map(toReceiptItem) }, written)
    }
  }
}

/** What this broker numbers deliveries with; an acknowledgement of anything else is of nothing. */
const deliveryIdRegExp = /^[1-9][0-9]{0,14}$/

function mayPush(lane: Lane): boolean {
  return lane.dirty && hasRoom(lane) && lane.target.outgoingBytes < outgoingBytesHigh
}

function hasRoom(lane: Lane): boolean {
  return lane.unacknowledged.size < unacknowledgedItemsMax && lane.bytes < unacknowledgedBytesMax
}

/** A delivery whose lease ended may be claimed again before `watch` has looked: it counts once, and as the newest. */
function remember(lane: Lane, deliveryId: number, pushed: { readonly bytes: number; readonly pushedAt: number }): void {
  forget(lane, deliveryId)
  lane.unacknowledged.set(deliveryId, pushed)
  lane.bytes += pushed.bytes
}

function forget(lane: Lane, deliveryId: number): void {
  const pushed = lane.unacknowledged.get(deliveryId)
  if (pushed === undefined) return
  lane.unacknowledged.delete(deliveryId)
  lane.bytes -= pushed.bytes
}

function laneKey(member: MemberKey): string {
  return `${member.meshId}/${member.memberId}`
}

function toDeliveryItem({ deliveryId, message }: Delivery): DeliveryItem {
  return {
    delivery_id: String(deliveryId),
    broker_message_id: message.brokerMessageId,
    history_id: String(message.historyId),
    client_message_id: message.clientMessageId,
    sender: message.sender,
    destination: message.destination,
    reply_to: message.replyTo,
    priority: message.priority,
    sealed: message.sealed.toString('base64'),
    accepted_at: message.acceptedAt,
  }
}

function toReceiptItem(receipt: Receipt): ReceiptItem {
  return {
    delivery_id: String(receipt.deliveryId),
    broker_message_id: receipt.brokerMessageId,
    client_message_id: receipt.clientMessageId,
    recipient: receipt.recipient,
    state: receipt.state,
    at: receipt.at,
    ...(receipt.reason === null ? {} : { reason: receipt.reason }),
  }
}
