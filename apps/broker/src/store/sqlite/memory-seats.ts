/**
 * Seats of the embedded engine: one process, so that they are in its memory and end with it. Only who is there is
 * recorded, and after a restart whoever was recorded has the grace time to come back.
 */
import { judgeSeat } from '../judge-seat.ts'
import type { MemberKey } from '../rows.ts'
import type { SeatKey, SeatOutcome, SeatRequest, Seats } from '../seats.ts'

/** Where it is recorded who is there. */
export interface PresenceRecords {
  listPresent(): readonly MemberKey[]
  recordPresence(member: MemberKey, presence: { readonly online: boolean; readonly at: number }): Promise<void>
}

interface TakenSeat extends SeatKey {
  readonly instanceId: string
  open: boolean
}

export class MemorySeats implements Seats {
  readonly #records: PresenceRecords
  readonly #now: () => number
  readonly #seats = new Map<string, Map<string, TakenSeat>>()
  /** Members that are recorded as there, and since when they have had no open seat; null: they have one. */
  readonly #present = new Map<string, { readonly member: MemberKey; absentSince: number | null }>()

  constructor(records: PresenceRecords, now: () => number) {
    this.#records = records
    this.#now = now
  }

  async beginNode(): Promise<{ readonly alone: boolean }> {
    const absentSince = this.#now()
    for (const member of this.#records.listPresent()) this.#present.set(nameOf(member), { member, absentSince })
    return { alone: true }
  }

  async beat(): Promise<boolean> {
    return true
  }

  async endNode(): Promise<void> {
    // It ends with the process.
  }

  async take(request: SeatRequest): Promise<SeatOutcome> {
    const seats = this.#seats.get(nameOf(request)) ?? new Map<string, TakenSeat>()
    const outcome = judgeSeat(request, [...seats.values()])
    if (outcome.kind === 'refused') return outcome
    for (const { connectionId } of outcome.ended) seats.delete(connectionId)
    const { meshId, memberId, connectionId, instanceId } = request
    seats.set(connectionId, { meshId, memberId, connectionId, instanceId, open: false })
    this.#seats.set(nameOf(request), seats)
    this.#look(request, request.now)
    return outcome
  }

  async open(seat: SeatKey, now: number): Promise<boolean> {
    const taken = this.#seats.get(nameOf(seat))?.get(seat.connectionId)
    if (taken === undefined) return false
    taken.open = true
    const present = this.#present.get(nameOf(seat))
    if (present !== undefined) {
      present.absentSince = null
      return false
    }
    const { meshId, memberId } = seat
    this.#present.set(nameOf(seat), { member: { meshId, memberId }, absentSince: null })
    try {
      await this.#records.recordPresence({ meshId, memberId }, { online: true, at: now })
    } catch (error) {
      this.#present.delete(nameOf(seat))
      throw error
    }
    // It may have gone while that was written.
    this.#look(seat, now)
    return true
  }

  async leave(seat: SeatKey, now: number): Promise<void> {
    const seats = this.#seats.get(nameOf(seat))
    seats?.delete(seat.connectionId)
    if (seats?.size === 0) this.#seats.delete(nameOf(seat))
    this.#look(seat, now)
  }

  /** Whoever takes a seat away ends the connection in the same process, at once. */
  async listEnded(): Promise<readonly []> {
    return []
  }

  /** Every wake-up arrives. */
  async listWaiting(): Promise<readonly []> {
    return []
  }

  async listSeated(members: readonly MemberKey[]): Promise<readonly MemberKey[]> {
    return members.filter((member) => this.#seats.has(nameOf(member)))
  }

  async freeDead(): Promise<readonly []> {
    return []
  }

  async endAbsences(options: { readonly now: number; readonly graceMs: number; readonly rowsMax: number }) {
    const ended: (MemberKey & { readonly at: number })[] = []
    for (const [name, { member, absentSince }] of this.#present) {
      if (absentSince === null || absentSince > options.now - options.graceMs) continue
      ended.push({ ...member, at: absentSince })
      this.#present.delete(name)
      if (ended.length === options.rowsMax) break
    }
    try {
      await Promise.all(ended.map(({ at, ...member }) => this.#records.recordPresence(member, { online: false, at })))
    } catch (error) {
      // Nobody was told: the next look finds them again, unless they have come back.
      for (const { at, ...member } of ended) {
        if (!this.#present.has(nameOf(member))) this.#present.set(nameOf(member), { member, absentSince: at })
      }
      throw error
    }
    return ended
  }

  /** Its absence begins if it has no open seat left. */
  #look(member: MemberKey, now: number): void {
    const present = this.#present.get(nameOf(member))
    if (present === undefined || present.absentSince !== null) return
    const seats = [...(this.#seats.get(nameOf(member))?.values() ?? [])]
    if (!seats.some(({ open }) => open)) present.absentSince = now
  }
}

function nameOf(member: MemberKey): string {
  return `${member.meshId}/${member.memberId}`
}
