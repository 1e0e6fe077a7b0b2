/** Which of the oldest rows go (08 §1): pure, for one step. */
import type { AgedRow } from './statements.ts'

/** How long rows of a dataset are kept. Null: as long as there is room. */
export interface Retention {
  readonly ageMsMax: number | null
  readonly bytesMax: number | null
  /** Rows that a known sink has not acknowledged stay until they pass one of the caps. */
  readonly waitForSinkAck: boolean
  readonly capAgeMs: number | null
  readonly capBytes: number | null
}

export interface RetentionInput {
  /** From the front, in order. */
  readonly oldest: readonly AgedRow[]
  /** What the partition takes. */
  readonly usedBytes: number
  readonly now: number
  /** What every known sink has; null: none is known. */
  readonly acknowledged: number | null
  readonly retention: Retention
}

export interface RetentionStep {
  /** Rows up to this key go; null: none. */
  readonly through: number | null
  readonly rows: number
  /** How many of them no sink will get. */
  readonly losing: number
}

export function planStep({ oldest, usedBytes, now, acknowledged, retention }: RetentionInput): RetentionStep {
  let step: RetentionStep = { through: null, rows: 0, losing: 0 }
  let bytesLeft = usedBytes
  for (const row of oldest) {
    const isMissing = acknowledged !== null && isUnacknowledged(row.key, acknowledged)
    const { ageMs, bytes } =
      isMissing && retention.waitForSinkAck
        ? { ageMs: retention.capAgeMs, bytes: retention.capBytes }
        : { ageMs: retention.ageMsMax, bytes: retention.bytesMax }
    const isOld = ageMs !== null && row.recordedAt < now - ageMs
    const isTooMuch = bytes !== null && bytesLeft > bytes
    if (!isOld && !isTooMuch) return step
    step = { through: row.key, rows: step.rows + 1, losing: step.losing + (isMissing ? 1 : 0) }
    bytesLeft -= row.bytes
  }
  return step
}

/** A row without a seq leaves with the first export. */
function isUnacknowledged(key: number, acknowledged: number): boolean {
  return key > 0 ? key > acknowledged : acknowledged === 0
}
