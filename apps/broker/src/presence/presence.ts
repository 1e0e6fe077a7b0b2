/**
 * Who is there.
 *
 * 1. A member is there from its first connection on, and gone only when it has been without one for the grace time: a
 *    reconnect makes no noise.
 * 2. A restart of the broker makes none either: whoever was recorded as there has the grace time to come back.
 *
 * What is recorded is for those who ask later; a record that cannot be written is reported and changes nothing here.
 */
import type { Runtime } from '../runtime.ts'

/** A member of one mesh. */
export interface PresentMember {
  readonly meshId: string
  readonly memberId: string
}

/** Where presence is recorded. */
export interface PresenceRecords {
  recordPresence(key: PresentMember, presence: { readonly online: boolean; readonly at: number }): Promise<void>
}

interface Attendance {
  readonly member: PresentMember
  connections: number
  /** Runs while the member has no connection. */
  leaving: NodeJS.Timeout | null
}

export class Presence {
  readonly #options: {
    readonly records: PresenceRecords
    readonly runtime: Runtime
    readonly graceMs: number
    readonly announce: (member: PresentMember, presence: { readonly online: boolean; readonly at: number }) => void
    readonly report: (error: unknown) => void
  }
  readonly #attendances = new Map<string, Attendance>()

  constructor(options: {
    readonly records: PresenceRecords
    readonly runtime: Runtime
    readonly graceMs: number
    /** Told of every arrival and departure that is not noise. */
    readonly announce: (member: PresentMember, presence: { readonly online: boolean; readonly at: number }) => void
    readonly report: (error: unknown) => void
  }) {
    this.#options = options
  }

  /** Takes over what the last process recorded: members that were there then. */
  restore(members: readonly PresentMember[]): void {
    for (const member of members) {
      const attendance: Attendance = { member, connections: 0, leaving: null }
      this.#attendances.set(keyOf(member), attendance)
      this.#beginGrace(attendance)
    }
  }

  /** A connection of the member is open. */
  arrived(member: PresentMember): void {
    const known = this.#attendances.get(keyOf(member))
    if (known !== undefined) {
      known.connections += 1
      if (known.leaving !== null) clearTimeout(known.leaving)
      known.leaving = null
      return
    }
    this.#attendances.set(keyOf(member), { member, connections: 1, leaving: null })
    this.#settle(member, { online: true, at: this.#options.runtime.now() })
  }

  /** A connection of the member is closed. */
  left(member: PresentMember): void {
    const attendance = this.#attendances.get(keyOf(member))
    if (attendance === undefined) return
    attendance.connections -= 1
    if (attendance.connections === 0) this.#beginGrace(attendance)
  }

  isOnline(member: PresentMember): boolean {
    return this.#attendances.has(keyOf(member))
  }

  /** Stops all timers. Members stay recorded as they are, for `restore`. */
  close(): void {
    for (const { leaving } of this.#attendances.values()) {
      if (leaving !== null) clearTimeout(leaving)
    }
    this.#attendances.clear()
  }

  #beginGrace(attendance: Attendance): void {
    const leftAt = this.#options.runtime.now()
    attendance.leaving = setTimeout(() => {
      this.#attendances.delete(keyOf(attendance.member))
      this.#settle(attendance.member, { online: false, at: leftAt })
    }, this.#options.graceMs)
    // Whether the process goes on is not for somebody's absence to say.
    attendance.leaving.unref()
  }

  #settle(member: PresentMember, presence: { readonly online: boolean; readonly at: number }): void {
    this.#options.announce(member, presence)
    this.#options.records.recordPresence(member, presence).catch(this.#options.report)
  }
}

function keyOf(member: PresentMember): string {
  return `${member.meshId}/${member.memberId}`
}
