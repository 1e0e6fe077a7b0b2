/**
 * Which rows a claim takes, and freezing them.
 *
 * 1. `now` before `next` before `low`, each in order of acceptance; rows of `low` that were passed over for too long have
 *    a share of their own (low-share.ts).
 * 2. The selection is cut at the first row that does not fit, so that a small row never overtakes a large one.
 * 3. A row leaves here with frozen bytes, its own from an earlier attempt or new ones. One that cannot be sealed ends
 *    here, one whose recipients are not known yet waits for them, and neither holds back another.
 * 4. The bytes of frozen rows are bounded too: the claim is cut at the first whose sealed form no longer fits.
 */
import type { Priority } from '@claudemesh/protocol'
import { claimRowsMax } from '../limits.ts'
import type { LowShare } from './low-share.ts'
import { assertOne } from './moves.ts'
import type { Claimable, OutboxRow, SealableRow, SealedMessage } from './rows.ts'
import type { OutboxStatements } from './statements.ts'
import { applyMove } from './states.ts'

/** Why a row cannot be sealed, for good: an error code, a colon and what is wrong. It becomes the row's `last_error`. */
export interface SealRefusal {
  readonly refused: string
}

/** The row cannot be sealed yet: its recipients are not known. It is ready again after this time, or when woken. */
export interface SealPostponement {
  readonly postponedMs: number
  /** Why, where more is to be said: it becomes the row's `last_error`. */
  readonly reason?: string
}

export interface ClaimOptions {
  readonly now: number
  readonly rowsMax: number
  readonly bytesMax: number
  /** Take the first row also when it alone is larger than `bytesMax`: nothing else would ever make room for it. */
  readonly firstRegardless: boolean
  /** Throws only for mistakes of ours: that one row cannot be sealed is a refusal. */
  readonly seal: (row: SealableRow) => SealedMessage | SealRefusal | SealPostponement
}

/** What transmitting needs of a row. */
type TransmittedRow = Pick<
  OutboxRow,
  'id' | 'clientMessageId' | 'destinationKind' | 'destinationRef' | 'replyToId' | 'priority' | 'mentions' | 'receipts'
>

/** What was done with a row before. */
type EarlierAttempts = Pick<OutboxRow, 'attempts' | 'restoredAt'>

/** A row in transmission: its bytes are frozen. */
export interface ClaimedRow extends TransmittedRow, EarlierAttempts, SealedMessage {}

/** A row that could not be sealed: it is dead. */
interface UnsealableRow {
  readonly outboxId: string
  readonly lastError: string
}

export interface ClaimOutcome {
  /** In the order in which they are to be transmitted. */
  readonly rows: readonly ClaimedRow[]
  readonly unsealable: readonly UnsealableRow[]
  /** How many rows wait for their recipients from now on. */
  readonly postponed: number
}

const priorities: readonly Priority[] = ['now', 'next', 'low']

/** The positions of the rows to take, in the order in which they are to be transmitted. */
export function selectClaimable(
  sql: OutboxStatements,
  { lowShare, monotonicMs }: { readonly lowShare: LowShare; readonly monotonicMs: number },
  o: ClaimOptions,
): readonly number[] {
  const rowsMax = Math.min(o.rowsMax, claimRowsMax)
  const selection = new Selection({ rowsMax, bytesMax: o.bytesMax, firstRegardless: o.firstRegardless })
  // One more than fits, so that a claim of low rows alone knows whether it leaves some behind.
  const low = sql.ready('low', rowsMax + 1)
  selection.take(low.slice(0, lowShare.quota({ rowsMax, monotonicMs })))
  const byQuota = selection.positions.length
  for (const priority of priorities) {
    if (selection.isFull) break
    selection.take(priority === 'low' ? low.slice(byQuota) : sql.ready(priority, rowsMax))
  }
  const taken = new Set(selection.positions)
  const lowTaken = low.filter((row) => taken.has(row.position)).length
  lowShare.record({
    claimed: taken.size,
    byQuota,
    othersClaimed: taken.size > lowTaken,
    lowLeft: low.length > lowTaken,
    monotonicMs,
  })
  return selection.positions
}

class Selection {
  readonly positions: number[] = []
  readonly #bounds: { readonly rowsMax: number; readonly bytesMax: number; readonly firstRegardless: boolean }
  #bytes = 0
  #full = false

  constructor(bounds: { readonly rowsMax: number; readonly bytesMax: number; readonly firstRegardless: boolean }) {
    this.#bounds = bounds
  }

  /** Whether a row did not fit: nothing after it may be taken either. */
  get isFull(): boolean {
    return this.#full
  }

  take(rows: readonly Claimable[]): void {
    for (const row of rows) {
      if (this.#full || !this.#fits(row)) {
        this.#full = true
        return
      }
      this.positions.push(row.position)
      this.#bytes += row.bytes
    }
  }

  #fits(row: Claimable): boolean {
    if (this.positions.length === this.#bounds.rowsMax) return false
    if (this.#bounds.firstRegardless && this.positions.length === 0) return true
    return this.#bytes + row.bytes <= this.#bounds.bytesMax
  }
}

/**
 * Moves selected rows to inflight, freezing their bytes if no earlier attempt has; to dead if they cannot be sealed; and
 * out of the way, if their recipients are not known yet.
 */
export function takeInflight(sql: OutboxStatements, positions: readonly number[], o: ClaimOptions): ClaimOutcome {
  const rows: ClaimedRow[] = []
  const unsealable: UnsealableRow[] = []
  let postponed = 0
  let bytes = 0
  for (const position of positions) {
    const row = sql.byPosition(position)
    if (row === null || row.payload === null) throw new Error('a pending row has lost its contents')
    const frozen = frozenBytes(row) ?? o.seal(row)
    if ('postponedMs' in frozen) {
      const nextAttemptAt = o.now + frozen.postponedMs
      const lastError = frozen.reason ?? null
      if (sql.parkForRecipients({ position, nextAttemptAt, lastError }) !== 1)
        throw new Error('a row that is ready was not parked')
      postponed += 1
      continue
    }
    if ('refused' in frozen) {
      const refusal = { outboxId: row.id, lastError: frozen.refused }
      applyMove('unsealable', row.status)
      assertOne(sql.endUnsealable(refusal), 'unsealable')
      unsealable.push(refusal)
      continue
    }
    bytes += frozen.sealed.length
    if (bytes > o.bytesMax && !(o.firstRegardless && rows.length === 0)) break
    applyMove('claim', row.status)
    const changed = row.sealed === null ? sql.freezeAndClaim({ position, ...frozen }) : sql.claimFrozen(position)
    assertOne(changed, 'claim')
    rows.push(claimedRow(row, frozen, row))
  }
  return { rows, unsealable, postponed }
}

/** Written out: an object that begins with a spread takes longer to make than the rest of a claim's own work. */
export function claimedRow(
  row: TransmittedRow,
  { sealed, wireFingerprint, recipientsEpoch }: SealedMessage,
  { attempts, restoredAt }: EarlierAttempts,
): ClaimedRow {
  return {
    id: row.id,
    clientMessageId: row.clientMessageId,
    destinationKind: row.destinationKind,
    destinationRef: row.destinationRef,
    replyToId: row.replyToId,
    priority: row.priority,
    mentions: row.mentions,
    receipts: row.receipts,
    attempts,
    restoredAt,
    sealed,
    wireFingerprint,
    recipientsEpoch,
  }
}

/** The bytes of an earlier attempt; null when there was none, or when it was for other recipients. */
function frozenBytes({ sealed, wireFingerprint, recipientsEpoch }: OutboxRow): SealedMessage | null {
  return sealed === null || wireFingerprint === null ? null : { sealed, wireFingerprint, recipientsEpoch }
}
