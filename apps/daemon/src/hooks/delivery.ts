/**
 * Gives the stored events of one kind to one hook (03 §4).
 *
 * 1. The place that a hook has reached is kept with the events, in the commit that records its run. It never lies behind a
 *    run that has not ended: whatever ends the daemon, an event that matched is given to the hook at least once.
 * 2. What waits is in the events. In memory there is one batch, so a hook that takes long costs nothing but time.
 * 3. A run that could not begin, or was ended with the daemon, is not one: its event comes again.
 * 4. With one run at a time events come in order. With several, a crash repeats those that had ended behind one that had not.
 */
import { MeshError } from '@claudemesh/protocol'
import { crashPoint } from '@claudemesh/storage'
import type { Events, NewEvent, StoredEvent } from '../events/events.ts'
import type { Log } from '../log.ts'
import { deliveryBatchMax, hookRetryMs, placeLagMax } from './limits.ts'
import type { Pool } from './pool.ts'
import type { Trigger } from './triggers.ts'

/** The places of hooks are in the file of the events that they count, so they need no name of it. */
const placeAt = (position: number) => ({ generation: 'events', position })

/** A run to be recorded, or why there was none. */
export type Delivered =
  | { readonly kind: 'done'; readonly record: NewEvent }
  | { readonly kind: 'wait'; readonly reason: string }

export interface DeliveryOptions {
  readonly hook: string
  readonly trigger: Trigger
  readonly selfId: string
  readonly parallel: () => number
  readonly events: Pick<Events, 'after' | 'append' | 'bounds' | 'cursor'>
  readonly pool: Pool
  readonly deliver: (event: StoredEvent, signal: AbortSignal) => Promise<Delivered>
  readonly onMissed: (events: number) => void
  readonly log: Log
}

export class Delivery {
  readonly #o: DeliveryOptions
  readonly #source: `hook:${string}`
  readonly #stopping = new AbortController()
  /** Events that matched and have not begun, oldest first. */
  #queue: StoredEvent[] = []
  readonly #running = new Map<number, Promise<void>>()
  #unrecorded: NewEvent[] = []
  /** Every event up to this one was looked at. */
  #seenId: number
  #keptId: number
  #isOpen = false
  #rest: NodeJS.Timeout | null = null
  #turn: NodeJS.Immediate | null = null
  #waitsFor: string | null = null

  /**
   * Finds its place; a hook that is here for the first time begins with what happens from now on.
   *
   * @throws MeshError when the disk refuses
   */
  constructor(o: DeliveryOptions) {
    this.#o = o
    this.#source = `hook:${o.hook}`
    const known = o.events.cursor(this.#source)
    this.#seenId = known?.position ?? o.events.bounds().lastId
    this.#keptId = this.#seenId
    if (known === null) o.events.append([], { source: this.#source, ...placeAt(this.#seenId) })
  }

  /** Why events wait that could be given to it; null: none does for longer than it takes. */
  get waitsFor(): string | null {
    return this.#waitsFor
  }

  get running(): number {
    return this.#running.size
  }

  /** Events that it has not come to, at most: some of them are of other kinds. */
  get behind(): number {
    return this.#o.events.bounds().lastId - this.#reachedId()
  }

  start(): void {
    this.#isOpen = true
    this.#retry()
  }

  /** There may be something for it, or room to run it. */
  wake(): void {
    if (!this.#isOpen || this.#rest !== null) return
    while (this.#running.size < this.#o.parallel() && this.#unrecorded.length === 0) {
      const event = this.#nextEvent()
      if (event === null || !this.#o.pool.tryEnter()) return
      this.#queue.shift()
      this.#running.set(event.id, this.#run(event))
    }
  }

  #retry(): void {
    this.#endRest()
    if (this.#unrecorded.length > 0) this.#record()
    this.wake()
  }

  /** Ends what runs; it comes again at the next start. */
  async stop(): Promise<void> {
    this.#isOpen = false
    this.#stopping.abort()
    this.#endRest()
    if (this.#turn !== null) clearImmediate(this.#turn)
    await Promise.all(this.#running.values())
    this.#record()
  }

  /** The oldest that has not begun, and stays where it is; null: there is none that can be read. */
  #nextEvent(): StoredEvent | null {
    try {
      if (this.#queue.length === 0) this.#look()
    } catch (error) {
      if (!(error instanceof MeshError)) throw error
      this.#restFor(error.message)
    }
    return this.#queue[0] ?? null
  }

  /** Reads on until there is something for it, at most one batch in this turn. */
  #look(): void {
    const { trigger, selfId, events, onMissed } = this.#o
    const { firstId, lastId } = events.bounds()
    if (this.#seenId < firstId - 1) {
      onMissed(firstId - 1 - this.#seenId)
      this.#seenId = firstId - 1
    }
    const found = events.after(this.#seenId, deliveryBatchMax, [trigger.type])
    this.#queue = found.filter(({ data }) => trigger.matches(data, selfId))
    const hasMore = found.length === deliveryBatchMax
    this.#seenId = hasMore ? (found.at(-1)?.id ?? lastId) : Math.max(lastId, this.#seenId)
    if (this.#queue.length > 0) return
    if (this.#reachedId() - this.#keptId > placeLagMax) this.#record()
    if (!hasMore) return
    this.#turn = setImmediate(() => this.wake())
  }

  async #run(event: StoredEvent): Promise<void> {
    const delivered = await this.#deliver(event)
    this.#running.delete(event.id)
    if (delivered.kind === 'wait') {
      this.#queue = [event, ...this.#queue].sort((a, b) => a.id - b.id)
      this.#restFor(delivered.reason)
    } else {
      this.#unrecorded.push(delivered.record)
      crashPoint('daemon.hook.ended')
      this.#record()
      crashPoint('daemon.hook.recorded')
    }
    // Wakes this one too, and all that wait for a slot.
    this.#o.pool.leave()
  }

  async #deliver(event: StoredEvent): Promise<Delivered> {
    try {
      return await this.#o.deliver(event, this.#stopping.signal)
    } catch (error) {
      // A store that cannot be read now.
      if (!(error instanceof MeshError)) throw error
      return { kind: 'wait', reason: error.message }
    }
  }

  /** Records what has ended, and how far that is. What the disk refuses now is recorded later, and nothing begins before. */
  #record(): void {
    try {
      this.#append(this.#unrecorded, this.#reachedId())
      this.#unrecorded = []
      this.#waitsFor = null
    } catch (error) {
      if (!(error instanceof MeshError)) throw error
      this.#o.log.warn({ hook: this.#o.hook, err: error }, 'hook_not_recorded')
      this.#restFor(error.message)
    }
  }

  #append(records: readonly NewEvent[], position: number): void {
    if (records.length === 0 && position === this.#keptId) return
    this.#o.events.append(records, { source: this.#source, ...placeAt(position) })
    this.#keptId = position
  }

  /** Every event up to this one was given to the hook, and its run has ended, or was not for it. */
  #reachedId(): number {
    const open = [...this.#running.keys(), ...this.#queue.map(({ id }) => id)]
    return open.length === 0 ? this.#seenId : Math.min(...open) - 1
  }

  #restFor(reason: string): void {
    if (this.#isOpen && this.#waitsFor !== reason) this.#o.log.warn({ hook: this.#o.hook, reason }, 'hook_waits')
    this.#waitsFor = reason
    if (!this.#isOpen) return
    this.#endRest()
    this.#rest = setTimeout(() => this.#retry(), hookRetryMs)
  }

  #endRest(): void {
    if (this.#rest !== null) clearTimeout(this.#rest)
    this.#rest = null
  }
}
