/**
 * Which part of a claim belongs to `low` rows that others keep from being claimed (02 §5): one row in `lowShareOneIn` of
 * all rows claimed, however small the single claims are. Without the memory of earlier claims a window that frees one
 * place at a time would give every place to the low rows, or none.
 *
 * 1. The share begins once low rows have been passed over for `lowPassedOverMsMax`, and lasts until none is left behind.
 * 2. What counts is the time that went by, not what the clock on the wall says: one that is set back starves nobody.
 *
 * It lives as long as the process. A start forgets how long rows had waited; the same time after it they have their share.
 */
import { claimRowsMax, lowPassedOverMsMax, lowShareOneIn } from '../limits.ts'

const creditMax = claimRowsMax / lowShareOneIn

export class LowShare {
  /** Rows that the low ones have to their credit. The first row that waited too long is not made to wait further. */
  #credit = 1
  /** By the monotonic clock; null while no low row is left behind for others. */
  #passedOverSince: number | null = null

  /** How many rows of a claim of at most `rowsMax` go to low rows before all others. */
  quota(o: { readonly rowsMax: number; readonly monotonicMs: number }): number {
    if (this.#passedOverSince === null || o.monotonicMs - this.#passedOverSince < lowPassedOverMsMax) return 0
    return Math.min(Math.floor(this.#credit), Math.max(1, Math.floor(o.rowsMax / lowShareOneIn)))
  }

  /**
   * Records a claim.
   *
   * @param o.claimed how many rows it took
   * @param o.byQuota how many of them by the quota
   * @param o.othersClaimed whether it took rows of a higher priority
   * @param o.lowLeft whether it left low rows behind that were ready
   */
  record(o: {
    readonly claimed: number
    readonly byQuota: number
    readonly othersClaimed: boolean
    readonly lowLeft: boolean
    readonly monotonicMs: number
  }): void {
    this.#credit = Math.min(creditMax, this.#credit - o.byQuota + o.claimed / lowShareOneIn)
    if (!o.lowLeft) this.#passedOverSince = null
    else if (o.othersClaimed) this.#passedOverSince ??= o.monotonicMs
  }
}
