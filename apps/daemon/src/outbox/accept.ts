/**
 * Storing what was accepted, and claiming it by the same commit when nothing waits before it.
 *
 * 1. Drafts are stored in order of arrival, one live row per id: a draft whose id has a row changes nothing.
 * 2. A row is claimed here only while no other row is pending, so that none is overtaken. The first draft that cannot be
 *    claimed, because it does not fit or cannot be sealed now, leaves itself and all behind it to the claim.
 * 3. It goes through both moves of the table at once, accept and claim, and is written once, as it is after the second.
 */
import type { Priority } from '@claudemesh/protocol'
import { type ClaimedRow, type ClaimOptions, claimedRow } from './claim.ts'
import { type OutboxDraft, type OutboxSummary, type SealedMessage, summaryOfDraft } from './rows.ts'
import type { OutboxStatements } from './statements.ts'

export interface AcceptOutcome {
  /** False: the row was there before, and nothing changed. */
  readonly inserted: boolean
  readonly row: OutboxSummary
}

export interface AcceptClaimOptions extends Pick<ClaimOptions, 'rowsMax' | 'bytesMax'> {
  /** Null: it cannot be sealed now, and it is for the claim to say what becomes of it. */
  readonly seal: (draft: OutboxDraft) => SealedMessage | null
}

/** Whoever takes claimed rows without having asked for them. */
export interface AcceptClaims {
  /** What may be claimed at this moment; null: nothing. Asked inside of the transaction. */
  options(): AcceptClaimOptions | null
  /** Told after the commit, in the order in which they are to be transmitted. Must not throw. */
  claimed(rows: readonly ClaimedRow[]): void
}

export interface StoredDrafts {
  /** One per draft, in their order. */
  readonly outcomes: readonly AcceptOutcome[]
  readonly inserted: number
  /** Of those that were inserted, in the order in which they are to be transmitted. */
  readonly claimed: readonly ClaimedRow[]
}

/** @param o.claim what may be claimed; null: nothing */
export function storeDrafts(
  sql: OutboxStatements,
  o: { readonly drafts: readonly OutboxDraft[]; readonly now: number; readonly claim: AcceptClaimOptions | null },
): StoredDrafts {
  const room = new Room(o.claim)
  const claimed: ClaimedRow[] = []
  let inserted = 0
  const outcomes = o.drafts.map((draft): AcceptOutcome => {
    const sealed = room.seal(draft)
    if (!sql.insertDraft(draft, sealed, o.now)) return { inserted: false, row: findHolder(sql, draft) }
    inserted += 1
    if (sealed !== null) {
      room.take(sealed)
      claimed.push(claimedRow(draft, sealed, neverAttempted))
    }
    return { inserted: true, row: summaryOfDraft(draft, o.now) }
  })
  return { outcomes, inserted, claimed: inOrderOfClaims(claimed) }
}

function findHolder(sql: OutboxStatements, { clientMessageId }: OutboxDraft): OutboxSummary {
  const row = sql.summaryByClientMessageId(clientMessageId)
  if (row === null) throw new Error('an id that is taken has no live row')
  return row
}

/** What is left of what may be claimed. */
class Room {
  readonly #claim: AcceptClaimOptions | null
  #rows: number
  #bytes: number
  #isOver: boolean

  constructor(claim: AcceptClaimOptions | null) {
    this.#claim = claim
    this.#rows = claim?.rowsMax ?? 0
    this.#bytes = claim?.bytesMax ?? 0
    this.#isOver = claim === null
  }

  /** @returns null for a draft that is not to be claimed, and from then on */
  seal(draft: OutboxDraft): SealedMessage | null {
    if (this.#isOver || this.#claim === null || this.#rows === 0) return null
    const sealed = this.#claim.seal(draft)
    if (sealed !== null && sealed.sealed.length <= this.#bytes) return sealed
    this.#isOver = true
    return null
  }

  take({ sealed }: SealedMessage): void {
    this.#rows -= 1
    this.#bytes -= sealed.length
  }
}

const neverAttempted = { attempts: 0, restoredAt: null }

const rank: Readonly<Record<Priority, number>> = { now: 0, next: 1, low: 2 }

function inOrderOfClaims(rows: readonly ClaimedRow[]): readonly ClaimedRow[] {
  return rows.toSorted((a, b) => rank[a.priority] - rank[b.priority])
}
