/**
 * Turns stored rows into stored events: each new message, and each change of a send (03 §2).
 *
 * 1. The tables are the truth and a wake-up is a hint. After a crash at any point it goes on behind the last event
 *    that exists: the events and the place they reach are one commit of the events.
 * 2. An announcement of the outbox is forgotten only after its event is on the disk; one that is found again because a
 *    crash came between lies before the same place, and is only forgotten.
 * 3. Messages read back from history were announced by the inbox that had them first: their place is passed over.
 *    When an inbox was replaced, its readers get `inbox_rebuilt` before anything of the new one.
 *
 * It does not stream: ipc/sse.ts reads the events.
 */
import { MeshError } from '@claudemesh/protocol'
import type { NewEvent } from '../events/events.ts'
import { publishBatchMax, publishPauseMs, publishRetryMs } from '../limits.ts'
import type { Log } from '../log.ts'
import type { AnnouncedChange } from '../outbox/outbox.ts'
import { messageData, receiptData, settledData } from './event-data.ts'
import type { AnnouncementSource, EventSink, MessageSource } from './sources.ts'

export interface PublisherOptions {
  readonly inbox: MessageSource
  readonly outbox: AnnouncementSource
  readonly events: EventSink
  readonly members: { findById(memberId: string): { readonly name: string } | null }
  readonly log: Log
}

/** The outbox is never replaced by an empty one, so its positions need no name of the file. */
const outboxGeneration = 'outbox'

export class Publisher {
  readonly #options: PublisherOptions
  #inboxPosition = 0
  #outboxPosition = 0
  #state: 'stopped' | 'idle' | 'scheduled' | 'resting' = 'stopped'
  #isWoken = false
  /** Code of what the disk refused last; said in the log once. */
  #failure: string | null = null
  #timer: NodeJS.Timeout | null = null
  #turn: NodeJS.Immediate | null = null

  constructor(options: PublisherOptions) {
    this.#options = options
  }

  /**
   * Finds its place and publishes what has gathered since.
   *
   * @throws MeshError when the disk refuses
   */
  start(): void {
    this.#inboxPosition = this.#findInboxPosition()
    this.#outboxPosition = this.#options.events.cursor('outbox')?.position ?? 0
    this.#options.outbox.forgetAnnouncements(this.#outboxPosition)
    this.#state = 'idle'
    this.wake()
  }

  /** There may be something to publish. */
  wake(): void {
    this.#isWoken = true
    if (this.#state !== 'idle') return
    this.#state = 'scheduled'
    this.#turn = setImmediate(() => this.#round())
  }

  /** Stops where it is; the next start goes on from there. */
  async stop(): Promise<void> {
    this.#state = 'stopped'
    if (this.#timer !== null) clearTimeout(this.#timer)
    if (this.#turn !== null) clearImmediate(this.#turn)
  }

  /**
   * Publishes one batch of each source.
   *
   * @returns whether there may be more
   * @throws MeshError when the disk refuses; then nothing of the failing batch was published
   */
  publishBatch(): boolean {
    const hasMoreMessages = this.#publishMessages()
    const hasMoreAnnouncements = this.#publishAnnouncements()
    return hasMoreMessages || hasMoreAnnouncements
  }

  /** A pause after each round lets what arrives meanwhile share the next commit. */
  #round(): void {
    this.#isWoken = false
    let pauseMs = publishPauseMs
    try {
      if (this.publishBatch()) this.#isWoken = true
      this.#failure = null
    } catch (error) {
      // Nothing is lost by waiting: the rows stay where they are.
      if (!(error instanceof MeshError)) throw error
      if (this.#failure !== error.code) this.#options.log.error({ err: error }, 'not_published')
      this.#failure = error.code
      this.#isWoken = true
      pauseMs = publishRetryMs
    }
    this.#state = 'resting'
    this.#timer = setTimeout(() => {
      this.#state = 'idle'
      if (this.#isWoken) this.wake()
    }, pauseMs)
  }

  #publishMessages(): boolean {
    const { inbox, outbox, events, members } = this.#options
    const rows = inbox.after(this.#inboxPosition, publishBatchMax)
    const last = rows.at(-1)
    if (last === undefined) return false
    const delivered = rows.filter((row) => row.origin === 'delivery')
    const names = new Map<string, string | null>()
    for (const { sender } of delivered) {
      if (!names.has(sender)) names.set(sender, members.findById(sender)?.name ?? null)
    }
    const batch = delivered.map((row): NewEvent => {
      return { type: 'message', data: messageData(row, names.get(row.sender) ?? null) }
    })
    const isOnDisk = events.append(batch, { source: 'inbox', generation: inbox.generation, position: last.seq })
    this.#inboxPosition = last.seq
    if (isOnDisk) outbox.forgetAnnouncements(this.#outboxPosition)
    return true
  }

  #publishAnnouncements(): boolean {
    const { outbox, events } = this.#options
    const changes = outbox.announcements(this.#outboxPosition, publishBatchMax)
    const last = changes.at(-1)
    if (last === undefined) return false
    const cursor = { source: 'outbox', generation: outboxGeneration, position: last.seq } as const
    const isOnDisk = events.append(changes.map(toEvent), cursor)
    this.#outboxPosition = last.seq
    if (isOnDisk) outbox.forgetAnnouncements(last.seq)
    return changes.length === publishBatchMax
  }

  #findInboxPosition(): number {
    const { inbox, events, log } = this.#options
    const { generation } = inbox
    const known = events.cursor('inbox')
    if (known?.generation === generation) return known.position
    if (known === null && events.rebuiltAt !== null) {
      // The events that told of the present messages are lost with their file; readers are sent to read anew.
      const position = inbox.lastSeq
      events.append([], { source: 'inbox', generation, position })
      return position
    }
    if (known === null) return 0
    const data = { rebuilt_at: inbox.rebuilt?.at ?? null, moved_to: inbox.rebuilt?.from ?? null }
    events.append([{ type: 'inbox_rebuilt', data }], { source: 'inbox', generation, position: 0 })
    log.warn({ ...data }, 'inbox_rebuilt')
    return 0
  }
}

function toEvent(change: AnnouncedChange): NewEvent {
  return change.kind === 'settled'
    ? { type: 'outbox_settled', data: settledData(change) }
    : { type: 'receipt', data: receiptData(change) }
}
