/**
 * Takes what the broker delivers: opens, stores once, acknowledges (02 §7, §11).
 *
 * 1. A delivery is acknowledged only after the commit that stored it, or found it stored. While the disk refuses, the
 *    same batch is tried again at intervals and none behind it is: nothing is stored out of order.
 * 2. `stored` and `duplicate` say that this host has the message and could open it; `undecryptable`, that it has it and
 *    could not, however often it comes; `rejected`, that it could not be kept beside another of the same id.
 * 3. What arrives in one turn of the event loop shares one transaction, and the wait for it is bounded: beyond the
 *    bound deliveries are left to come again. A broker delivers less than the bound before it wants acknowledgements.
 * 4. A message of a sender whose key nobody here knows waits for the directory before it is judged (sender-look-up.ts).
 *
 * It does not publish: the publisher reads the inbox by itself and is only woken.
 */
import { type DeliveryItem, type DeliveryOutcome, MeshError, type ReceiptItem } from '@claudemesh/protocol'
import { crashPoint } from '@claudemesh/storage'
import type { InboxDraft, StoreOutcome, UnopenedReason } from '../inbox/inbox.ts'
import { receiveBatchMax, receiveQueueMax, receiveRetryMs } from '../limits.ts'
import type { Log } from '../log.ts'
import { loggedTrace } from '../logged-trace.ts'
import type { ArrivedMessage, OpenMessage } from './open.ts'
import { SenderLookUp } from './sender-look-up.ts'

export interface Acknowledgement {
  readonly delivery_id: string
  readonly outcome: DeliveryOutcome
}

export interface ReceiverOptions {
  readonly inbox: { store(drafts: readonly InboxDraft[]): readonly StoreOutcome[] }
  readonly outbox: { recordReceipts(items: readonly ReceiptItem[]): void }
  readonly open: OpenMessage
  /** False when there is no connection; then the broker delivers again. */
  readonly acknowledge: (items: readonly Acknowledgement[]) => boolean
  /** New messages are in the inbox. */
  readonly onStored: () => void
  /** New receipts are in the outbox. */
  readonly onReceipts: () => void
  /** Reads the directory for members whom nobody here knows. Never rejects. */
  readonly lookForSenders: (memberIds: readonly string[]) => Promise<void>
  /** What is not for the inbox: fulfilled when it has been dealt with, and may be acknowledged. Null: it is. */
  readonly takeElsewhere: (draft: InboxDraft) => Promise<void> | null
  readonly log: Log
}

/** What the storage refuses; gone with the next success. */
export interface StorageCondition {
  readonly code: string
  readonly detail: string
}

export class Receiver {
  readonly #options: ReceiverOptions
  readonly #lookUp: SenderLookUp
  /** Deliveries that do not wait for the directory any more. */
  readonly #lookedUp = new WeakSet<DeliveryItem>()
  readonly #unopened = new Map<UnopenedReason, number>()
  #deliveries: DeliveryItem[] = []
  #receipts: ReceiptItem[] = []
  #turn: NodeJS.Immediate | null = null
  #retryTimer: NodeJS.Timeout | null = null
  #condition: StorageCondition | null = null
  #stopped = false

  constructor(options: ReceiverOptions) {
    this.#options = options
    const { lookForSenders: lookFor } = options
    this.#lookUp = new SenderLookUp({ lookFor, onLookedUp: (items) => this.#takeBack(items) })
  }

  /** Messages stored since the start that could not be opened, by the reason. */
  get unopened(): ReadonlyMap<UnopenedReason, number> {
    return this.#unopened
  }

  /** Why messages are not being stored at the moment; null when they are. */
  get condition(): StorageCondition | null {
    return this.#condition
  }

  /** Takes a `deliver` frame. */
  deliver(items: readonly DeliveryItem[]): void {
    this.#enqueue(this.#deliveries, items, receiveQueueMax - this.#lookUp.size)
  }

  /** Takes a `receipts` frame. */
  receipts(items: readonly ReceiptItem[]): void {
    this.#enqueue(this.#receipts, items, receiveQueueMax)
  }

  /** Stores and acknowledges what has arrived, as far as the disk lets it, and takes nothing more. */
  async stop(): Promise<void> {
    this.#stopped = true
    if (this.#turn !== null) clearImmediate(this.#turn)
    if (this.#retryTimer !== null) clearTimeout(this.#retryTimer)
    this.#turn = null
    this.#retryTimer = null
    this.#putInFront(this.#lookUp.release())
    while (this.#hasWork && this.#work());
  }

  #enqueue<T>(queue: T[], items: readonly T[], lengthMax: number): void {
    if (this.#stopped) return
    const room = Math.max(0, lengthMax - queue.length)
    if (items.length > room) this.#options.log.warn({ left_out: items.length - room }, 'receive_queue_full')
    queue.push(...items.slice(0, room))
    this.#schedule()
  }

  #takeBack(items: readonly DeliveryItem[]): void {
    this.#putInFront(items)
    if (!this.#stopped) this.#schedule()
  }

  /** They came before everything that waits in the queue. */
  #putInFront(items: readonly DeliveryItem[]): void {
    for (const item of items) this.#lookedUp.add(item)
    this.#deliveries.unshift(...items)
  }

  get #hasWork(): boolean {
    return this.#deliveries.length + this.#receipts.length > 0
  }

  #schedule(): void {
    if (this.#retryTimer !== null) return
    this.#turn ??= setImmediate(() => {
      this.#turn = null
      if (!this.#work()) this.#retryLater()
      else if (this.#hasWork) this.#schedule()
    })
  }

  #retryLater(): void {
    this.#retryTimer = setTimeout(() => {
      this.#retryTimer = null
      this.#schedule()
    }, receiveRetryMs)
  }

  /** One batch of each kind. @returns false when the disk refused one of them */
  #work(): boolean {
    const refusals = [
      this.#attempt(this.#deliveries, (batch) => this.#storeDeliveries(batch)),
      this.#attempt(this.#receipts, (batch) => this.#recordReceipts(batch)),
    ].filter((refusal) => refusal !== null)
    const [refusal = null] = refusals
    if (refusal !== null && this.#condition?.code !== refusal.code) {
      this.#options.log.error({ err: refusal }, 'not_stored')
    }
    this.#condition = refusal === null ? null : { code: refusal.code, detail: refusal.message }
    return refusal === null
  }

  #storeDeliveries(items: readonly DeliveryItem[]): void {
    const judged: { readonly item: DeliveryItem; readonly draft: InboxDraft }[] = []
    const held: DeliveryItem[] = []
    const unknown = new Set<string>()
    for (const item of items) {
      const draft = toDraft(item, this.#options.open)
      if (!unknown.has(item.sender) && !this.#mustWait(item, draft)) {
        if (!this.#passOn(item, draft)) judged.push({ item, draft })
        continue
      }
      unknown.add(item.sender)
      held.push(item)
    }
    if (judged.length > 0) this.#store(judged)
    // Only now: had the disk refused the others, all of them would come again.
    this.#lookUp.hold(held)
  }

  /** @returns whether it is not for the inbox. Should this process end before it was dealt with, it comes again */
  #passOn({ delivery_id: id }: DeliveryItem, draft: InboxDraft): boolean {
    const taken = this.#options.takeElsewhere(draft)
    const outcome = draft.content.opened ? 'stored' : 'undecryptable'
    void taken?.then(() => this.#acknowledge([{ delivery_id: id, outcome }]))
    return taken !== null
  }

  #mustWait(item: DeliveryItem, { content }: InboxDraft): boolean {
    if (this.#stopped || this.#lookedUp.has(item)) return false
    return this.#lookUp.isHolding(item.sender) || (!content.opened && content.reason === 'sender_unknown')
  }

  #store(judged: readonly { readonly item: DeliveryItem; readonly draft: InboxDraft }[]): void {
    const { inbox, onStored, log } = this.#options
    const outcomes = inbox.store(judged.map(({ draft }) => draft))
    this.#acknowledge(
      judged.map(({ item, draft }, index) => ({
        delivery_id: item.delivery_id,
        outcome: toDeliveryOutcome(outcomes[index] ?? 'conflict', draft.content.opened),
      })),
    )
    crashPoint('daemon.receive.after-ack')
    const stored = judged.filter((_, index) => outcomes[index] === 'stored')
    log.debug({ items: judged.length, stored: stored.length }, 'delivered')
    for (const { draft } of stored) this.#noteUnopened(draft)
    for (const [index, { draft }] of judged.entries()) {
      if (outcomes[index] !== 'conflict') continue
      const { brokerMessageId: id, sender, content } = draft
      log.warn({ id, sender, ...(content.opened ? loggedTrace(content.meta) : {}) }, 'id_taken')
    }
    if (stored.length > 0) onStored()
  }

  #noteUnopened({ content, brokerMessageId, sender }: InboxDraft): void {
    if (content.opened) return
    const { reason } = content
    this.#unopened.set(reason, (this.#unopened.get(reason) ?? 0) + 1)
    this.#options.log.warn({ id: brokerMessageId, sender, reason }, 'not_opened')
  }

  #recordReceipts(items: readonly ReceiptItem[]): void {
    this.#options.outbox.recordReceipts(items)
    this.#acknowledge(items.map((item) => ({ delivery_id: item.delivery_id, outcome: 'stored' })))
    this.#options.onReceipts()
  }

  #acknowledge(items: readonly Acknowledgement[]): void {
    if (this.#options.acknowledge(items)) return
    this.#options.log.debug({ items: items.length }, 'not_acknowledged')
  }

  /** Takes the oldest batch of a queue off it once it is stored. @returns what kept it from being stored */
  #attempt<T>(queue: T[], store: (batch: readonly T[]) => void): MeshError | null {
    const batch = queue.slice(0, receiveBatchMax)
    if (batch.length === 0) return null
    try {
      store(batch)
    } catch (error) {
      // Nothing was stored and nothing acknowledged. Should this process end now, the broker delivers again.
      if (!(error instanceof MeshError)) throw error
      return error
    }
    queue.splice(0, batch.length)
    return null
  }
}

/** What is told to the broker of one delivery: by what the store said, and whether this copy could be opened. */
const deliveryOutcomes: {
  readonly [outcome in StoreOutcome]: { readonly opened: DeliveryOutcome; readonly sealed: DeliveryOutcome }
} = {
  stored: { opened: 'stored', sealed: 'undecryptable' },
  duplicate: { opened: 'duplicate', sealed: 'duplicate' },
  duplicate_sealed: { opened: 'undecryptable', sealed: 'undecryptable' },
  conflict: { opened: 'rejected', sealed: 'rejected' },
}

function toDeliveryOutcome(outcome: StoreOutcome, opened: boolean): DeliveryOutcome {
  return deliveryOutcomes[outcome][opened ? 'opened' : 'sealed']
}

/** A message as it came over the wire, opened or not. */
export function toDraft(item: ArrivedMessage, open: OpenMessage): InboxDraft {
  return {
    brokerMessageId: item.broker_message_id,
    clientMessageId: item.client_message_id,
    sender: item.sender,
    historyId: item.history_id,
    destination: item.destination,
    replyToId: item.reply_to,
    priority: item.priority,
    acceptedAt: item.accepted_at,
    content: open({ ...item, bytes: Buffer.from(item.sealed, 'base64') }),
  }
}
