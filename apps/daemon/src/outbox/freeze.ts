/**
 * Freezing rows before their first transmission, so that a copy of the outbox holds what will travel (03 §5).
 *
 * 1. It is the sealing of the claim and no other: what is frozen here is what every later claim transmits.
 * 2. A row that cannot be sealed yet, or at all, stays as it is. What becomes of it is for the claim to say.
 */
import type { ClaimOptions } from './claim.ts'
import type { OutboxStatements } from './statements.ts'

export interface FreezeOptions {
  /** Where the batch before ended; 0 for the first. */
  readonly after: number
  readonly rowsMax: number
  readonly seal: ClaimOptions['seal']
}

export interface FreezeOutcome {
  readonly frozen: number
  /** Rows that were looked at and could not be sealed. */
  readonly unsealed: number
  /** Where the next batch begins; null when this was the last. */
  readonly next: number | null
}

/** Freezes the pending rows of one batch, in order of acceptance, whether they are due or wait. */
export function freezeRows(sql: OutboxStatements, { after, rowsMax, seal }: FreezeOptions): FreezeOutcome {
  const positions = sql.unsealed({ after, limit: rowsMax })
  let frozen = 0
  for (const position of positions) {
    const row = sql.byPosition(position)
    if (row === null) throw new Error('a row that was just listed is not there')
    const outcome = seal(row)
    if (!('sealed' in outcome)) continue
    if (sql.freeze({ position, ...outcome }) !== 1) throw new Error('a pending row was not frozen')
    frozen += 1
  }
  const isLast = positions.length < rowsMax
  return { frozen, unsealed: positions.length - frozen, next: isLast ? null : (positions.at(-1) ?? null) }
}
