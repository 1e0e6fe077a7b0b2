/**
 * Who is connected here, as the seats know it that all nodes share.
 *
 * 1. A connection has a seat from its admission until it is over. What the database did not take then is done again at
 *    the next beat, so that no seat outlives its connection for longer than the database is away.
 * 2. A member is there from its first open seat on, and gone when it has been without one for the grace time: a
 *    reconnect makes no noise, to whatever node it leads. Neither does a restart.
 * 3. A node that was given up for dead lost all its seats: it ends its connections and goes on under a new name.
 */

import type { Runtime } from '../runtime.ts'
import type { MemberKey } from '../store/rows.ts'
import type { EndedSeat, SeatKey, SeatOutcome, SeatRequest, Seats } from '../store/seats.ts'

export interface PresenceOptions {
  readonly seats: Seats
  readonly runtime: Pick<Runtime, 'now' | 'nextId'>
  /** After so long without a beat other nodes give this one up. */
  readonly deadAfterMs: number
  /** Told of every arrival that is not noise. */
  readonly arrived: (member: MemberKey, at: number) => void
  /** A connection has lost its seat. */
  readonly end: (seat: EndedSeat) => void
  /** All connections have. */
  readonly endAll: () => void
  /** Something may wait for this member. */
  readonly wake: (member: MemberKey) => void
  readonly report: (error: unknown) => void
}

export class Presence {
  readonly #options: PresenceOptions
  /** Connections that are over and whose seats are still to be given back, by their ids. */
  readonly #leaving = new Map<string, { readonly seat: SeatKey; readonly at: number }>()
  /** Connections that are open and not yet recorded as such. */
  readonly #opening = new Map<string, SeatKey>()
  #nodeId: string

  constructor(options: PresenceOptions) {
    this.#options = options
    this.#nodeId = options.runtime.nextId()
  }

  /** Makes this node known. @returns whether no other one is there */
  begin(): Promise<{ readonly alone: boolean }> {
    const { seats, deadAfterMs } = this.#options
    return seats.beginNode({ nodeId: this.#nodeId, deadAfterMs })
  }

  /** Takes a seat for a connection. */
  async take(request: Omit<SeatRequest, 'nodeId' | 'now'>): Promise<SeatOutcome> {
    const { seats, runtime } = this.#options
    try {
      return await seats.take({ ...request, nodeId: this.#nodeId, now: runtime.now() })
    } catch (error) {
      // It may have been taken all the same.
      this.left(request)
      throw error
    }
  }

  /** A connection is open. A failure to record it is reported, and it is tried again. */
  async opened(seat: SeatKey): Promise<void> {
    this.#opening.set(seat.connectionId, seat)
    await this.#open(seat).catch(this.#options.report)
  }

  /** A connection is over, or was not let in after it had taken a seat. */
  left({ meshId, memberId, connectionId }: SeatKey): void {
    this.#opening.delete(connectionId)
    const at = this.#options.runtime.now()
    this.#leaving.set(connectionId, { seat: { meshId, memberId, connectionId }, at })
    this.#leave(connectionId).catch(this.#options.report)
  }

  /** Says that this node lives, and looks for whatever it was not told. To be called every few seconds. */
  async beat(): Promise<void> {
    const { seats } = this.#options
    if (!(await seats.beat(this.#nodeId))) {
      this.#nodeId = this.#options.runtime.nextId()
      await this.begin()
      this.#options.endAll()
    }
    for (const connectionId of [...this.#leaving.keys()]) await this.#leave(connectionId)
    for (const seat of [...this.#opening.values()]) await this.#open(seat)
    await this.look()
  }

  /** Looks for what other nodes may have told in vain. */
  async look(): Promise<void> {
    const { seats, runtime, end, wake } = this.#options
    for (const seat of await seats.listEnded(this.#nodeId)) end(seat)
    for (const member of await seats.listWaiting(this.#nodeId, runtime.now())) wake(member)
  }

  /** Gives back what is left, as far as that goes; other nodes do the rest. */
  async close(): Promise<void> {
    const results = await Promise.allSettled([...this.#leaving.keys()].map((connectionId) => this.#leave(connectionId)))
    results.push(...(await Promise.allSettled([this.#options.seats.endNode(this.#nodeId)])))
    for (const result of results) if (result.status === 'rejected') this.#options.report(result.reason)
  }

  async #open(seat: SeatKey): Promise<void> {
    const { seats, runtime, arrived } = this.#options
    const at = runtime.now()
    const isNew = await seats.open(seat, at)
    this.#opening.delete(seat.connectionId)
    if (isNew) arrived(seat, at)
  }

  async #leave(connectionId: string): Promise<void> {
    const leaving = this.#leaving.get(connectionId)
    if (leaving === undefined) return
    await this.#options.seats.leave(leaving.seat, leaving.at)
    this.#leaving.delete(connectionId)
  }
}
