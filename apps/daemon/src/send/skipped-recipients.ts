import { recipientFindingsMax } from '../limits.ts'
import type { Log } from '../log.ts'

/**
 * Why a subscriber of a topic is not sealed for:
 *
 * - `unverifiable`  the broker names it, and its chain proves nothing here
 * - `key_unusable`  nothing secret can be shared with its box key
 */
export type SkipReason = 'unverifiable' | 'key_unusable'

/**
 * Subscribers that messages were not sealed for, so that it can be seen. One of them must not keep the others from being
 * sealed for; and what only it can repair is told of once, not with each message.
 */
export class SkippedRecipients {
  readonly #log: Log
  /** Who is skipped at present, as of the last message to it. */
  readonly #members = new Map<string, SkipReason>()
  readonly #totals: Record<SkipReason, number> = { unverifiable: 0, key_unusable: 0 }

  constructor(log: Log) {
    this.#log = log
  }

  /** A message is sealed without this member. */
  note(memberId: string, reason: SkipReason): void {
    this.#totals[reason] += 1
    if (this.#members.get(memberId) === reason || this.#members.size >= recipientFindingsMax) return
    this.#members.set(memberId, reason)
    this.#log.warn({ member_id: memberId, reason }, 'recipient_skipped')
  }

  /** This does not hold of the member any more. */
  clear(memberId: string, reason: SkipReason): void {
    if (this.#members.get(memberId) === reason) this.#members.delete(memberId)
  }

  /** How many members are skipped. */
  get members(): number {
    return this.#members.size
  }

  /** Seals of one message for one member that were left out since the start, by reason. */
  get totals(): Readonly<Record<SkipReason, number>> {
    return { ...this.#totals }
  }
}
