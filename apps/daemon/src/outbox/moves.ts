/**
 * What every change of outbox rows has in common: it is a move of the table, it is counted, announced and told.
 *
 * 1. A move that `states.ts` does not know throws, so its transaction is rolled back.
 * 2. Counts and listeners follow commits: what was rolled back is neither counted nor told.
 * 3. The end of a row is announced in the transaction that ends it; the announcement outlives a crash.
 */
import type { OutboxStatus } from '@claudemesh/protocol'
import type { Tx } from '@claudemesh/storage'
import type { OutboxStatements } from './statements.ts'
import { applyMove, type OutboxMove } from './states.ts'

export type OutboxCounts = Readonly<Record<OutboxStatus, number>>

/** Told of every committed change to rows that were already there. A hint: the table is the truth. */
export type OutboxListener = (outboxIds: readonly string[]) => void

export class Moves {
  readonly #sql: OutboxStatements
  readonly #counts: Record<OutboxStatus, number> = { pending: 0, inflight: 0, done: 0, dead: 0, aborted: 0 }
  readonly #listeners = new Set<OutboxListener>()

  constructor(sql: OutboxStatements) {
    this.#sql = sql
    for (const { status, rows } of sql.countByStatus()) this.#counts[status] = rows
  }

  get counts(): OutboxCounts {
    return this.#counts
  }

  listen(listener: OutboxListener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Accounts for rows that moved. @returns the state they are in now */
  moved(
    tx: Tx,
    o: { readonly move: OutboxMove; readonly from: OutboxStatus | null; readonly rows: number },
  ): OutboxStatus {
    const to = applyMove(o.move, o.from)
    tx.afterCommit(() => {
      if (o.from !== null) this.#counts[o.from] -= o.rows
      this.#counts[to] += o.rows
    })
    return to
  }

  /** The same for one row that has ended: its end is announced as well. */
  ended(tx: Tx, o: { readonly move: OutboxMove; readonly from: OutboxStatus; readonly outboxId: string }): void {
    const state = this.moved(tx, { move: o.move, from: o.from, rows: 1 })
    this.#sql.announce({ outboxId: o.outboxId, kind: 'settled', recipient: null, state })
  }

  /** Accounts for rows that retention or an operator deleted. */
  deleted(tx: Tx, o: { readonly from: OutboxStatus; readonly rows: number }): void {
    tx.afterCommit(() => {
      this.#counts[o.from] -= o.rows
    })
  }

  notify(tx: Tx, outboxIds: readonly string[]): void {
    if (outboxIds.length === 0) return
    tx.afterCommit(() => {
      for (const listener of [...this.#listeners]) listener(outboxIds)
    })
  }
}

/** A statement that moves one row must have changed one row: anything else is a mistake of ours. */
export function assertOne(changed: number, move: OutboxMove): void {
  if (changed !== 1) throw new Error(`a ${move} changed ${changed} rows instead of one`)
}
