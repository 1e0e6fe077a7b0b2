/**
 * Tries messages again that could not be opened when they came: the directory has learnt a key of their sender since, or
 * this member's own keys have changed.
 *
 * 1. What opens takes the place of the unopened row and is published like any new message.
 * 2. What turns out to be no message, but about a space that is shared, goes where it goes when it opens at once, and then
 *    from the inbox. Should this process end before that, it is tried again at the next start.
 * 3. Work is done in bounded steps with turns of the event loop between them. What is asked for during a run is done
 *    after it, once.
 *
 * It cannot take back what the broker was told: the sender's receipt says that the message was not opened at delivery.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { MeshError } from '@claudemesh/protocol'
import type { ArrivedDraft, InboxDraft, StillUnopened, UnopenedMessage, UnopenedReason } from '../inbox/inbox.ts'
import { reopenBatchMax } from '../limits.ts'
import type { Log } from '../log.ts'
import type { OpenMessage } from './open.ts'

export interface ReopenerOptions {
  readonly inbox: {
    unopened(o: { reason: UnopenedReason; afterSeq: number; limit: number }): readonly UnopenedMessage[]
    storeRetried(o: { opened: readonly ArrivedDraft[]; unopened: readonly StillUnopened[] }): void
    removeUnopened(seq: number): void
  }
  readonly open: OpenMessage
  /** Takes what is not for the inbox; fulfilled when nothing more is done with it. Null for a message. */
  readonly takeElsewhere: (draft: InboxDraft) => Promise<void> | null
  /** Messages have been opened. */
  readonly onStored: () => void
  readonly log: Log
}

/** What a learnt key may change. */
type Retried = Extract<UnopenedReason, 'sender_unknown' | 'not_a_recipient'>

export class Reopener {
  readonly #options: ReopenerOptions
  /** What is to be tried: a reason, and of which senders; null for all. */
  readonly #wanted = new Map<Retried, Set<string> | null>()
  #running: Promise<void> | null = null
  #stopped = false

  constructor(options: ReopenerOptions) {
    this.#options = options
  }

  /** Tries everything once: what was learnt before the last end may not have been tried any more. */
  start(): void {
    this.#want('sender_unknown', null)
    this.#want('not_a_recipient', null)
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await this.#running
  }

  /** Box keys of these members have become known. */
  sendersLearnt(memberIds: readonly string[]): void {
    this.#want('sender_unknown', memberIds)
  }

  /** This member has other keys than before. */
  ownKeysChanged(): void {
    this.#want('not_a_recipient', null)
  }

  /** Resolves when nothing is left to try. */
  async settled(): Promise<void> {
    while (this.#running !== null) await this.#running
  }

  #want(reason: Retried, senders: readonly string[] | null): void {
    const known = this.#wanted.get(reason)
    this.#wanted.set(reason, senders === null || known === null ? null : new Set([...(known ?? []), ...senders]))
    if (!this.#stopped) this.#running ??= this.#run()
  }

  async #run(): Promise<void> {
    try {
      // What is wanted meanwhile is appended, and so comes last.
      for (const [reason, senders] of this.#wanted) {
        await nextTurn()
        if (this.#stopped) return
        this.#wanted.delete(reason)
        await this.#tryAll(reason, senders)
      }
    } finally {
      this.#running = null
    }
  }

  async #tryAll(reason: Retried, senders: ReadonlySet<string> | null): Promise<void> {
    const { inbox, log } = this.#options
    let reopened = 0
    try {
      for (let afterSeq = 0; !this.#stopped; await nextTurn()) {
        const batch = inbox.unopened({ reason, afterSeq, limit: reopenBatchMax })
        const last = batch.at(-1)
        if (last === undefined) break
        afterSeq = last.seq
        reopened += this.#tryBatch(batch.filter((message) => senders === null || senders.has(message.sender)))
      }
    } catch (error) {
      // The disk refused. The messages are still there, and the next start tries them again.
      if (!(error instanceof MeshError)) throw error
      log.error({ err: error }, 'not_reopened')
    }
    if (reopened > 0) log.info({ reopened, reason }, 'reopened')
  }

  /** @returns how many were opened */
  #tryBatch(batch: readonly UnopenedMessage[]): number {
    const { inbox, onStored } = this.#options
    const opened: ArrivedDraft[] = []
    const unopened: StillUnopened[] = []
    for (const { seq, origin, sealed, ...message } of batch) {
      const content = this.#options.open({
        bytes: sealed,
        client_message_id: message.clientMessageId,
        sender: message.sender,
        destination: message.destination,
        reply_to: message.replyToId,
        priority: message.priority,
      })
      const draft = { ...message, content }
      if (!content.opened) unopened.push({ seq, reason: content.reason })
      else if (!this.#passOn(seq, draft)) opened.push({ draft, origin })
    }
    if (batch.length > 0) inbox.storeRetried({ opened, unopened })
    if (opened.length > 0) onStored()
    return opened.length
  }

  /** @returns whether it is not for the inbox */
  #passOn(seq: number, draft: InboxDraft): boolean {
    const taken = this.#options.takeElsewhere(draft)
    void taken?.then(() => this.#remove(seq))
    return taken !== null
  }

  #remove(seq: number): void {
    if (this.#stopped) return
    try {
      this.#options.inbox.removeUnopened(seq)
    } catch (error) {
      // The disk refused. It is taken again after the next start, which changes nothing more.
      if (!(error instanceof MeshError)) throw error
      this.#options.log.error({ err: error }, 'not_reopened')
    }
  }
}
