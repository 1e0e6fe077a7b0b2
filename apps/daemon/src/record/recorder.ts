/**
 * Turns what the stores hold into rows of the history (08 §1): sends, messages, receipts, and what happened to the daemon.
 *
 * 1. The tables are the truth and a wake-up is a hint. Rows and the places that they reach are one commit of the history, so
 *    that after a crash at any point it goes on behind the last row that there is.
 * 2. An announcement is forgotten only after its row is on the disk.
 * 3. Messages read back from the broker's history were recorded when they came: they are passed over.
 * 4. A history that was there before and does not know a source, or is older than what was exported of it, goes on at the
 *    end of its sources: what was told elsewhere, by a home that this one was restored from, by files that were moved away
 *    or have been replaced by older ones, is not told again.
 */
import { setTimeout as pause } from 'node:timers/promises'
import type { History, HistoryContent, Partition, SourceCursor } from '@claudemesh/history'
import { type EventType, eventTypes } from '@claudemesh/protocol'
import type { Events } from '../events/events.ts'
import type { Inbox } from '../inbox/inbox.ts'
import type { Log } from '../log.ts'
import type { Announcements } from '../outbox/announcement-readers.ts'
import type { Outbox } from '../outbox/outbox.ts'
import { PacedWork } from '../paced-work.ts'
import type { Runtime } from '../runtime.ts'
import { recordBatchesUnsyncedMax, recordBatchMax, recordPauseMs } from './limits.ts'
import { eventRow, type Owner, receiptRow, receivedRow, sentRow } from './rows.ts'

export interface RecorderOptions {
  readonly history: History
  readonly owner: Owner
  readonly outbox: Pick<Outbox, 'behind' | 'lastPosition' | 'isRequeued'>
  readonly announcements: Announcements
  readonly inbox: Pick<Inbox, 'after' | 'generation' | 'lastSeq'>
  readonly events: Pick<Events, 'after' | 'bounds'>
  readonly runtime: Runtime
  readonly log: Log
}

/** Told by rows of their own, or by the log of their space. */
const toldOtherwise: ReadonlySet<EventType> = new Set([
  'message',
  'outbox_settled',
  'receipt',
  'file_shared',
  'decision',
])
const recordedEvents = eventTypes.filter((type) => !toldOtherwise.has(type))

/** These are never replaced by an empty one whose positions begin anew. */
const onlyGeneration = 'only'

/** What one source has that is not recorded yet. */
interface Gathered {
  readonly rows: readonly HistoryContent[]
  /** Null: there is nothing. */
  readonly cursor: SourceCursor | null
  readonly hasMore: boolean
}

export class Recorder {
  readonly #o: RecorderOptions
  readonly #messages: Partition
  readonly #events: Partition
  readonly #work: PacedWork
  #hasBegun = false
  /** Batches with announcements that were recorded since the history was synced last. */
  #unsynced = 0
  /** Events up to this one were looked at; the cursor stands at the last that was recorded. */
  #eventsSeen = 0

  constructor(o: RecorderOptions) {
    this.#o = o
    const source = `mesh=${o.owner.mesh}`
    this.#messages = { dataset: 'messages', source }
    this.#events = { dataset: 'events', source }
    this.#work = new PacedWork({
      round: (signal) => this.#round(signal),
      random: o.runtime.random,
      name: 'record',
      log: o.log,
    })
  }

  /** There may be something to record. */
  wake(): void {
    this.#work.wake()
  }

  /** Stops where it is; the next start goes on from there. */
  async stop(): Promise<void> {
    await this.#work.stop()
  }

  /**
   * Records one batch of each source.
   *
   * @returns whether there may be more
   * @throws MeshError when the disk refuses; then nothing of the failing batch was recorded
   */
  recordBatch(): boolean {
    this.#begin()
    const messages = this.#record(this.#messages, [this.#gatherSent(), this.#gatherReceived(), this.#gatherReceipts()])
    const events = this.#record(this.#events, [this.#gatherEvents()])
    return messages || events
  }

  /** Finds its places, where it is there for the first time. */
  #begin(): void {
    if (this.#hasBegun) return
    const { history, inbox, outbox, events } = this.#o
    // Decided once for all sources: with its first row the history is not new any more.
    const { isNew } = history
    const begin = (partition: Partition, ends: Readonly<Record<string, readonly [string, number]>>) => {
      const all = Object.entries(ends).map(([source, [generation, position]]) => ({ source, generation, position }))
      if (history.isOvertaken(partition)) return this.#passOver(partition, all)
      const missing = all.filter(({ source }) => history.cursor(partition, source) === null)
      const cursors = missing.map((cursor) => ({ ...cursor, position: isNew ? 0 : cursor.position }))
      if (cursors.length > 0) history.append(partition, { rows: [], cursors })
    }
    begin(this.#messages, {
      outbox: [onlyGeneration, outbox.lastPosition],
      inbox: [inbox.generation, inbox.lastSeq],
      announcements: [onlyGeneration, this.#lastAnnouncement()],
    })
    begin(this.#events, { events: [onlyGeneration, events.bounds().lastId] })
    this.#hasBegun = true
  }

  #passOver(partition: Partition, ends: readonly SourceCursor[]): void {
    const { history, log } = this.#o
    const cursors = ends.filter(({ source, generation, position }) => {
      const known = history.cursor(partition, source)
      return known === null || known.generation !== generation || known.position < position
    })
    history.passOver(partition, cursors)
    log.warn({ partition: `${partition.dataset}/${partition.source}` }, 'history_older_than_exports')
  }

  /** A pause before each batch: what comes together shares a commit, and a message goes its way before it is recorded. */
  async #round(signal: AbortSignal): Promise<number | null> {
    await pause(recordPauseMs, undefined, { signal })
    return this.recordBatch() ? 0 : null
  }

  #record(partition: Partition, gathered: readonly Gathered[]): boolean {
    const cursors = gathered.flatMap(({ cursor }) => (cursor === null ? [] : [cursor]))
    if (cursors.length === 0) return false
    this.#o.history.append(partition, { rows: gathered.flatMap(({ rows }) => rows), cursors })
    const told = cursors.find(({ source }) => source === 'announcements')
    if (told !== undefined) this.#forget(told.position)
    return gathered.some(({ hasMore }) => hasMore)
  }

  /** Syncing costs as much for one announcement as for many. */
  #forget(throughSeq: number): void {
    const { history, announcements } = this.#o
    this.#unsynced += 1
    if (this.#unsynced < recordBatchesUnsyncedMax) return
    history.newestSeq(this.#messages)
    this.#unsynced = 0
    announcements.forgetAnnouncements(throughSeq)
  }

  #gatherSent(): Gathered {
    const { outbox, owner } = this.#o
    const found = outbox.behind(this.#position('outbox', onlyGeneration), recordBatchMax)
    return {
      rows: found.map(({ row }) => sentRow(owner, row, outbox.isRequeued(row.id))),
      cursor: toCursor('outbox', onlyGeneration, found.at(-1)?.position),
      hasMore: found.length === recordBatchMax,
    }
  }

  #gatherReceived(): Gathered {
    const { inbox, owner } = this.#o
    const found = inbox.after(this.#position('inbox', inbox.generation), recordBatchMax)
    return {
      rows: found.filter(({ origin }) => origin === 'delivery').map((row) => receivedRow(owner, row)),
      cursor: toCursor('inbox', inbox.generation, found.at(-1)?.seq),
      hasMore: found.length === recordBatchMax,
    }
  }

  #gatherReceipts(): Gathered {
    const { announcements, owner, runtime } = this.#o
    const found = announcements.announcements(this.#position('announcements', onlyGeneration), recordBatchMax)
    return {
      rows: found.map((change) => receiptRow(owner, change, runtime.now())),
      cursor: toCursor('announcements', onlyGeneration, found.at(-1)?.seq),
      hasMore: found.length === recordBatchMax,
    }
  }

  #gatherEvents(): Gathered {
    const { events, history, owner } = this.#o
    const position = history.cursor(this.#events, 'events')?.position ?? 0
    const { lastId } = events.bounds()
    const found = events.after(Math.max(position, this.#eventsSeen), recordBatchMax, recordedEvents)
    this.#eventsSeen = found.length < recordBatchMax ? lastId : (found.at(-1)?.id ?? lastId)
    return {
      rows: found.map((event) => eventRow(owner, event)),
      cursor: toCursor('events', onlyGeneration, found.at(-1)?.id),
      hasMore: found.length === recordBatchMax,
    }
  }

  /** An inbox that took the place of another is read from its start. */
  #position(source: string, generation: string): number {
    const known = this.#o.history.cursor(this.#messages, source)
    return known?.generation === generation ? known.position : 0
  }

  #lastAnnouncement(): number {
    const { announcements } = this.#o
    for (let last = 0; ; ) {
      const found = announcements.announcements(last, recordBatchMax).at(-1)?.seq
      if (found === undefined) return last
      last = found
    }
  }
}

function toCursor(source: string, generation: string, position: number | undefined): SourceCursor | null {
  return position === undefined ? null : { source, generation, position }
}
