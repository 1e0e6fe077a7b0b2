import type { OutboxStatus } from '@claudemesh/protocol'
import { chainRowsMax, sendBackoffMsCap } from '../limits.ts'
import type { AnnouncedChange, OutboxRow, OutboxSummary, PositionedRow, StoredReceipt } from './rows.ts'
import type { OutboxStatements } from './statements.ts'

/** Everything that can be asked of the outbox without changing it. */
export class OutboxReader {
  protected readonly sql: OutboxStatements

  constructor(sql: OutboxStatements) {
    this.sql = sql
  }

  get(id: string): OutboxRow | null {
    return this.sql.byId(id)
  }

  /** The live row of an id: one that was requeued with the release of its old id is found by `get` alone. */
  getByClientMessageId(clientMessageId: string): OutboxRow | null {
    return this.sql.byClientMessageId(clientMessageId)
  }

  getByBrokerMessageId(brokerMessageId: string): OutboxRow | null {
    return this.sql.byBrokerMessageId(brokerMessageId)
  }

  /** Rows that reply to a message, in order of acceptance. */
  repliesTo(brokerMessageId: string, limit: number): readonly OutboxRow[] {
    return this.sql.replies(brokerMessageId, limit)
  }

  /** A row without its contents. */
  summary(id: string): OutboxSummary | null {
    return this.sql.summaryById(id)
  }

  /**
   * One page, newest first.
   *
   * @param o.after the id of the last row seen, or null for the first page
   * @returns null when `after` names no row
   */
  list(o: {
    readonly status: OutboxStatus | null
    readonly after: string | null
    readonly limit: number
  }): readonly OutboxSummary[] | null {
    const before = o.after === null ? Number.MAX_SAFE_INTEGER : this.sql.position(o.after)
    return before === null ? null : this.sql.list({ status: o.status, before, limit: o.limit })
  }

  /** The rows that requeueing has linked with this one, oldest first, itself among them. */
  chain(id: string): readonly OutboxSummary[] {
    const self = this.sql.summaryById(id)
    if (self === null) return []
    const rows = [self]
    for (let row = this.sql.predecessor(id); row !== null && rows.length < chainRowsMax; ) {
      rows.unshift(row)
      row = this.sql.predecessor(row.id)
    }
    for (let next = self.supersededBy; next !== null && rows.length < chainRowsMax; ) {
      const row = this.sql.summaryById(next)
      if (row === null) break
      rows.push(row)
      next = row.supersededBy
    }
    return rows
  }

  /** Rows accepted after a position, in order; a position is never given twice. */
  behind(position: number, limit: number): readonly PositionedRow[] {
    return this.sql.behind(position, limit)
  }

  /** The position of the newest row there ever was, 0 before the first. */
  get lastPosition(): number {
    return this.sql.lastPosition()
  }

  /** Whether a row took the place of one that was requeued. */
  isRequeued(id: string): boolean {
    return this.sql.predecessor(id) !== null
  }

  receipts(outboxId: string): readonly StoredReceipt[] {
    return this.sql.receipts(outboxId)
  }

  /** When the pending row that has waited longest was accepted. */
  oldestPendingAt(): number | null {
    return this.sql.oldestPendingAt()
  }

  /** When a claim would next find a row: `now` when there is one already, null when nothing is pending. */
  nextAttemptAt(now: number): number | null {
    if (this.sql.anyReady()) return now
    const first = this.sql.firstParkedAt()
    if (first === null) return null
    const last = this.sql.lastParkedAt() ?? first
    return last > now + sendBackoffMsCap ? now : Math.max(now, first)
  }

  /** Changes announced after a place that must still become events, oldest first. */
  announcements(after: number, limit: number): readonly AnnouncedChange[] {
    return this.sql.announcements({ after, limit })
  }
}
