/**
 * Work queues: a part of what a store promises. What the states of a message mean is in queue-states.ts.
 *
 * 1. A message is leased to at most one consumer at a time, and one that was acknowledged is never given out again.
 * 2. A consumer is given only messages that were accepted while it was a consumer: no other one was sealed for it. What
 *    was accepted before it left is given to it again when it comes back.
 * 3. Whenever the consumers of a queue change, so does its epoch. From the commit on nobody who left or was revoked is
 *    one, and what it had leased can be taken at once.
 * 4. A message that `maxDeliveries` consumers did not acknowledge is dead, and given to nobody until it is requeued.
 * 5. The sender is told, if it wants to be: `delivered` when a message is acknowledged, `undeliverable` when it is dead
 *    (reason `max_deliveries`) or retention takes it before it was done (`expired`).
 */
import type { SettlementOutcome } from '@claudemesh/protocol'
import type { MemberKey, Message } from './rows.ts'

export interface QueueKey {
  readonly meshId: string
  readonly queue: string
}

export interface Queue {
  readonly name: string
  readonly consumers: number
  /** About the asking member. */
  readonly consuming: boolean
  readonly maxDeliveries: number
  /** Each of the following is counted up to 10 001. */
  readonly waiting: number
  readonly leased: number
  readonly dead: number
  readonly createdAt: number
}

/** A message that a consumer has taken. */
export interface LeasedMessage {
  readonly message: Message
  readonly leaseId: string
  readonly leaseUntil: number
  /** How often it was taken, this time included. */
  readonly deliveries: number
}

export interface DeadMessage {
  readonly message: Message
  readonly deliveries: number
  /** Who had it last. */
  readonly consumer: string
  readonly diedAt: number
  /** What that consumer said, or `lease_over`. */
  readonly reason: string
}

export interface TakeRequest extends MemberKey {
  readonly queue: string
  readonly limit: number
  /** Bytes of sealed messages. The first one is taken whatever its size. */
  readonly bytesMax: number
  /** Given by the caller, new with every call. */
  readonly leaseId: string
  readonly leaseMs: number
  readonly now: number
}

export type TakeOutcome =
  | {
      readonly kind: 'taken'
      readonly messages: readonly LeasedMessage[]
      /** With no message: from when on the next one of the queue can be taken, by whomever; null: none is there. */
      readonly nextAt: number | null
    }
  | { readonly kind: QueueRefusal }

/** Why a member may not have what is in a queue. */
export type QueueRefusal = 'queue_unknown' | 'queue_not_consumed'

/** What a consumer says about a message. Times are absolute. */
export type SettleItem = { readonly brokerMessageId: string; readonly leaseId: string } & (
  | { readonly action: 'ack' }
  | { readonly action: 'nack'; readonly visibleAt: number; readonly reason: string }
  | { readonly action: 'extend'; readonly leaseUntil: number }
)

export interface SettleOutcome {
  readonly outcomes: readonly SettlementOutcome['outcome'][]
  /** Senders for whom a receipt waits now. */
  readonly notified: readonly string[]
  /** Queues of the messages that were returned. */
  readonly returnedTo: readonly string[]
}

export interface DeadPage {
  readonly queue: string
  /** The last history id of the page before; 0 for the first. */
  readonly after: number
  readonly limit: number
  /** Bytes of sealed messages. The first one is returned whatever its size. */
  readonly bytesMax: number
}

/** A selection of the dead messages of a queue. */
export interface DeadSelection {
  readonly queue: string
  readonly brokerMessageIds: readonly string[]
  readonly now: number
}

export interface Queues {
  /** Queues in order of their names. */
  page(
    key: MemberKey,
    page: { readonly limit: number; readonly after: string | null; readonly now: number },
  ): Promise<readonly Queue[]>

  /**
   * Makes a member a consumer; the first one makes the queue. Repeating it changes nothing but `maxDeliveries`, if that is
   * not null.
   *
   * @returns null when the queue has `consumersMax` others already
   * @throws MeshError `member_revoked` or `unauthenticated` when the member is gone
   */
  consume(
    key: MemberKey,
    change: {
      readonly queue: string
      readonly maxDeliveries: number | null
      readonly consumersMax: number
      readonly now: number
    },
  ): Promise<Queue | null>

  /** The member is no consumer any more. @returns null when there is no such queue */
  leave(key: MemberKey, change: { readonly queue: string; readonly now: number }): Promise<Queue | null>

  /** The consumers in order of their ids, and the epoch of that set. @returns null when there is no such queue */
  listConsumers(
    key: QueueKey,
  ): Promise<{ readonly recipientsEpoch: number; readonly members: readonly string[] } | null>

  /** Leases the next messages, by priority and then in order of acceptance. */
  take(request: TakeRequest): Promise<TakeOutcome>

  /** Undoes a take whose answer reaches nobody: as if it had not been. */
  untake(key: MemberKey, taken: { readonly queue: string; readonly leaseId: string }): Promise<void>

  /** Settles what the member has leased: one outcome per item, in order of the items. */
  settle(
    key: MemberKey,
    settling: { readonly items: readonly SettleItem[]; readonly now: number },
  ): Promise<SettleOutcome>

  /** The dead messages that a consumer can open, oldest first. `more`: the next page has something. */
  pageDead(
    key: MemberKey,
    page: DeadPage,
  ): Promise<
    | { readonly kind: 'page'; readonly messages: readonly DeadMessage[]; readonly more: boolean }
    | { readonly kind: QueueRefusal }
  >

  /** Those of the selection that are dead can be taken again, as if they never had been. @returns how many they were */
  requeueDead(key: MemberKey, selection: DeadSelection): Promise<number | QueueRefusal>

  /** Those of the selection that are dead are dropped. @returns how many they were */
  dropDead(key: MemberKey, selection: DeadSelection): Promise<number | QueueRefusal>

  /**
   * Work that is held back or leased beyond `latest` can be taken at once: nobody can have asked for that, so it was put
   * off while the clock was ahead. @returns how many
   */
  bringNear(options: { readonly latest: number; readonly now: number; readonly rowsMax: number }): Promise<number>

  /** Messages whose last delivery came back are dead from then on. @returns how many, and for whom receipts wait now */
  buryExhausted(options: {
    readonly now: number
    readonly rowsMax: number
  }): Promise<{ readonly rows: number; readonly notified: readonly MemberKey[] }>

  /** How many messages wait, are leased and are dead, in all queues, for metrics: each counted up to 100 001. */
  count(): Promise<{ readonly ready: number; readonly leased: number; readonly dead: number }>
}
