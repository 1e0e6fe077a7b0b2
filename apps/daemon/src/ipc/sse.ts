/**
 * Server-sent events from the stored events (03 §2).
 *
 * 1. A reader that comes back with the id of the last event it saw gets every later one, once and in order: replay
 *    and live are one loop that reads the store after a cursor; a wake-up only says that reading is worth while.
 * 2. When that cannot be, because what follows its id is no longer stored or the id was never given out, it gets
 *    `resync` instead; also one that is so slow that retention overtakes it in the middle of the stream.
 * 3. A slow reader costs one batch of memory: nothing more is read until it took what was written, and one that takes
 *    nothing for too long is disconnected; it comes back with its id.
 */
import type { ServerResponse } from 'node:http'
import { type EventType, eventIdPattern, MeshError } from '@claudemesh/protocol'
import type { Events, StoredEvent } from '../events/events.ts'
import {
  eventStreamBatchMax,
  eventStreamCommentMs,
  eventStreamDrainMsMax,
  eventStreamRetryMs,
  eventStreamsMax,
} from '../limits.ts'

export interface StreamRequest {
  /** As the reader sent it, or null when it wants what comes from now on. */
  readonly lastEventId: string | null
  /** Null: all types. */
  readonly types: readonly EventType[] | null
}

export class EventStreams {
  readonly #events: Events
  readonly #open = new Set<EventStream>()
  /** Streams of other events, which are bounded together with these. */
  #others = 0
  #comments: NodeJS.Timeout | null = null
  #stopped = false

  constructor(events: Events) {
    this.#events = events
  }

  get count(): number {
    return this.#open.size + this.#others
  }

  /**
   * Refuses a stream that cannot be served, before its answer has begun.
   *
   * @throws MeshError too_many_streams | shutting_down
   */
  admit(): void {
    if (this.#stopped) throw new MeshError('shutting_down')
    if (this.count >= eventStreamsMax) throw new MeshError('too_many_streams')
  }

  /** Serves one stream on a response of which nothing was written yet, until either side ends it. */
  async serve(response: ServerResponse, request: StreamRequest): Promise<void> {
    const stream = new EventStream(this.#events, response)
    this.#open.add(stream)
    this.#comments ??= setInterval(() => this.#comment(), eventStreamCommentMs)
    try {
      await stream.run(request)
    } finally {
      this.#open.delete(stream)
      if (this.#open.size === 0) this.#stopComments()
      response.end()
    }
  }

  /** Counts a stream of other events while it is served. @throws MeshError as `admit` */
  async alongside(serve: () => Promise<void>): Promise<void> {
    this.admit()
    this.#others += 1
    try {
      await serve()
    } finally {
      this.#others -= 1
    }
  }

  /** Ends every stream; readers come back with their last id. */
  stop(): void {
    this.#stopped = true
    for (const stream of this.#open) stream.close()
  }

  #comment(): void {
    for (const stream of this.#open) stream.comment()
  }

  #stopComments(): void {
    if (this.#comments !== null) clearInterval(this.#comments)
    this.#comments = null
  }
}

class EventStream {
  readonly #events: Events
  readonly #response: ServerResponse
  #closed = false
  #awake = false
  #wake: () => void = () => undefined

  constructor(events: Events, response: ServerResponse) {
    this.#events = events
    this.#response = response
  }

  async run(request: StreamRequest): Promise<void> {
    const unsubscribe = this.#events.subscribe(() => this.#wakeUp())
    this.#response.once('close', () => this.close())
    this.#response.once('error', () => this.close())
    try {
      this.#response.writeHead(200, {
        'content-type': 'text/event-stream; charset=utf-8',
        'cache-control': 'no-store',
        'x-accel-buffering': 'no',
      })
      const start = startingPoint(this.#events, request.lastEventId)
      // The id goes out before the first event, so that a reader that leaves without having got one resumes here.
      await this.#write(`retry: ${eventStreamRetryMs}\nid: ${start.cursor}\n\n`)
      await this.#tellResync(start)
      await this.#follow(start.cursor, request.types)
    } finally {
      unsubscribe()
    }
  }

  close(): void {
    this.#closed = true
    this.#wakeUp()
  }

  /** Keeps a quiet stream alive. A stream that is behind needs none. */
  comment(): void {
    if (!this.#closed && !this.#response.writableNeedDrain) this.#response.write(': keep-alive\n\n')
  }

  async #follow(from: number, types: readonly EventType[] | null): Promise<void> {
    let cursor = from
    while (!this.#closed) {
      this.#awake = false
      const bounds = this.#events.bounds()
      if (bounds.firstId > cursor + 1) {
        const start = startingPoint(this.#events, String(cursor))
        cursor = start.cursor
        await this.#tellResync(start)
        continue
      }
      const newest = bounds.lastId
      const batch = this.#events.after(cursor, eventStreamBatchMax, types)
      const last = batch.at(-1)
      if (last !== undefined) {
        await this.#write(batch.map((event) => formatEvent(event.id, event.type, event.data)).join(''))
      }
      // Past a batch that is not full there is nothing up to `newest`: types that are left out are not read again.
      cursor = batch.length < eventStreamBatchMax ? Math.max(newest, last?.id ?? 0, cursor) : (last?.id ?? cursor)
      if (batch.length < eventStreamBatchMax) await this.#woken()
    }
  }

  async #tellResync({ cursor, resync }: StartingPoint): Promise<void> {
    if (resync !== null) await this.#write(formatEvent(cursor, 'resync', resync))
  }

  async #write(text: string): Promise<void> {
    if (this.#closed || this.#response.write(text) || (await this.#drained())) return
    this.#response.destroy()
    this.close()
  }

  /** @returns false when the reader took too long; true also when it has gone */
  #drained(): Promise<boolean> {
    const response = this.#response
    return new Promise((resolve) => {
      const settle = (inTime: boolean) => {
        clearTimeout(timer)
        response.off('drain', proceed)
        response.off('close', proceed)
        resolve(inTime)
      }
      const proceed = () => settle(true)
      const timer = setTimeout(() => settle(false), eventStreamDrainMsMax)
      response.on('drain', proceed)
      response.on('close', proceed)
    })
  }

  #wakeUp(): void {
    this.#awake = true
    this.#wake()
  }

  async #woken(): Promise<void> {
    if (this.#awake || this.#closed) return
    await new Promise<void>((resolve) => {
      this.#wake = resolve
    })
  }
}

const eventId = new RegExp(eventIdPattern)

/** Where a stream begins, and what `resync` tells when it cannot begin where the reader left off. */
interface StartingPoint {
  readonly cursor: number
  readonly resync: { readonly reason: string; readonly last_event_id: string } | null
}

function startingPoint(events: Events, lastEventId: string | null): StartingPoint {
  const bounds = events.bounds()
  if (lastEventId === null) return { cursor: bounds.lastId, resync: null }
  const id = eventId.test(lastEventId) ? Number(lastEventId) : null
  if (id !== null && events.isResumable(id)) return { cursor: id, resync: null }
  const reason = id === null || id > bounds.lastId ? 'unknown_id' : 'no_longer_stored'
  return { cursor: bounds.lastId, resync: { reason, last_event_id: lastEventId.slice(0, 64) } }
}

/** JSON has no line breaks outside of texts, where they are escaped: one `data` line always is enough. */
function formatEvent(id: number, type: StoredEvent['type'] | 'resync', data: unknown): string {
  return `id: ${id}\nevent: ${type}\ndata: ${JSON.stringify(data)}\n\n`
}
