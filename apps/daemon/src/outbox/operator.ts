/**
 * What an operator does to a row: requeue it under a new id, or drop it. Both end the row, and neither takes back what
 * may already be on its way: a row that is inflight, done or aborted is refused.
 */
import type { Tx } from '@claudemesh/storage'
import { assertOne, type Moves } from './moves.ts'
import { type OutboxDraft, type OutboxRow, type OutboxSummary, summaryOfDraft } from './rows.ts'
import type { OutboxStatements } from './statements.ts'
import { isOperable } from './states.ts'

export interface RequeueOptions {
  readonly id: string
  readonly by: string
  readonly newId: string
  readonly newClientMessageId: string
  /** Frees the old row's client_message_id. */
  readonly releaseOldId: boolean
  /** What to send instead; null: the same again. Its two ids are replaced by those above. */
  readonly replacement: OutboxDraft | null
}

export type RequeueOutcome =
  | { readonly kind: 'requeued'; readonly old: OutboxSummary; readonly new: OutboxSummary }
  | { readonly kind: 'unknown' }
  | { readonly kind: 'not_operable'; readonly row: OutboxSummary }
  | { readonly kind: 'id_taken'; readonly holder: OutboxSummary }

export type DropOutcome =
  | { readonly kind: 'dropped'; readonly row: OutboxSummary }
  | { readonly kind: 'unknown' }
  | { readonly kind: 'not_operable'; readonly row: OutboxSummary }

interface Parts {
  readonly sql: OutboxStatements
  readonly moves: Moves
}

/** Ends a pending or dead row and puts a new pending row in its place. */
export function requeueRow(
  tx: Tx,
  { sql, moves }: Parts,
  o: RequeueOptions & { readonly now: number },
): RequeueOutcome {
  const old = sql.byId(o.id)
  if (old === null) return { kind: 'unknown' }
  if (!isOperable(old.status)) return { kind: 'not_operable', row: old }
  const holder = sql.summaryByClientMessageId(o.newClientMessageId)
  const isFreed = o.releaseOldId && holder?.id === old.id
  if (holder !== null && !isFreed) return { kind: 'id_taken', holder }

  const { by, now, newId: supersededBy } = o
  abort(tx, { sql, moves }, { row: old, by, now, supersededBy, releasedAt: o.releaseOldId ? now : null })
  const draft = successorDraft(old, o)
  if (!sql.insertDraft(draft, null, now)) throw new Error('a free id turned out to be taken')
  moves.moved(tx, { move: 'requeue', from: null, rows: 1 })
  moves.notify(tx, [old.id, draft.id])
  return { kind: 'requeued', old: mustFind(sql, old.id), new: summaryOfDraft(draft, now) }
}

/** Ends a pending or dead row for good. */
export function dropRow(
  tx: Tx,
  { sql, moves }: Parts,
  o: { readonly id: string; readonly by: string; readonly now: number },
): DropOutcome {
  const row = sql.summaryById(o.id)
  if (row === null) return { kind: 'unknown' }
  if (!isOperable(row.status)) return { kind: 'not_operable', row }
  abort(tx, { sql, moves }, { row, by: o.by, now: o.now, supersededBy: null, releasedAt: null })
  moves.notify(tx, [row.id])
  return { kind: 'dropped', row: mustFind(sql, row.id) }
}

interface Abort {
  readonly row: OutboxSummary
  readonly by: string
  readonly now: number
  readonly supersededBy: string | null
  readonly releasedAt: number | null
}

function abort(tx: Tx, { sql, moves }: Parts, o: Abort): void {
  const { row, ...columns } = o
  assertOne(sql.abort({ id: row.id, from: row.status, ...columns }), 'abort')
  moves.ended(tx, { move: 'abort', from: row.status, outboxId: row.id })
}

function successorDraft(old: OutboxRow, o: RequeueOptions): OutboxDraft {
  const ids = { id: o.newId, clientMessageId: o.newClientMessageId }
  if (o.replacement !== null) return { ...o.replacement, ...ids }
  if (old.payload === null) throw new Error('an operable row has lost its contents')
  return {
    ...ids,
    requestFingerprint: old.requestFingerprint,
    destinationKind: old.destinationKind,
    destinationRef: old.destinationRef,
    priority: old.priority,
    payload: old.payload,
    messageBytes: old.messageBytes,
    replyToId: old.replyToId,
    mentions: old.mentions,
    addressed: old.addressed,
    receipts: old.receipts,
  }
}

function mustFind(sql: OutboxStatements, id: string): OutboxSummary {
  const row = sql.summaryById(id)
  if (row === null) throw new Error('a row that was just written is not there')
  return row
}
