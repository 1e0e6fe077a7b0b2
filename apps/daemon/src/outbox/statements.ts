/**
 * All SQL of the outbox. Records become the rows of `rows.ts` here and nowhere else. Every statement that changes `status` names the state
 * it comes from and reports how many rows it changed.
 */
import type { DestinationKind, OutboxStatus, Priority } from '@claudemesh/protocol'
import type { Database, Statement } from '@claudemesh/storage'
import type {
  AnnouncedChange,
  Announcement,
  Claimable,
  OutboxDraft,
  OutboxRow,
  OutboxSummary,
  PositionedRow,
  SealedMessage,
  StoredReceipt,
} from './rows.ts'

interface SummaryRecord {
  id: string
  client_message_id: string
  request_fingerprint: Buffer
  destination_kind: DestinationKind
  destination_ref: string
  priority: Priority
  status: OutboxStatus
  enqueued_at: number
  attempts: number
  next_attempt_at: number
  last_error: string | null
  delivered_at: number | null
  broker_message_id: string | null
  history_id: string | null
  aborted_at: number | null
  aborted_by: string | null
  superseded_by: string | null
  released_at: number | null
  reply_to_id: string | null
  mentions: string | null
  addressed: string
  receipts: number
  message_bytes: number
  recipient_count: number | null
}

interface RowRecord extends SummaryRecord {
  payload: Buffer
  sealed: Buffer | null
  wire_fingerprint: Buffer | null
  recipients_epoch: number | null
  restored_at: number | null
}

const summaryColumns = `
  id, client_message_id, request_fingerprint, destination_kind, destination_ref, priority, status, enqueued_at,
  attempts, next_attempt_at, last_error, delivered_at, broker_message_id, history_id, aborted_at, aborted_by,
  superseded_by, released_at, reply_to_id, mentions, addressed, receipts, message_bytes, recipient_count`
const rowColumns = `${summaryColumns}, payload, sealed, wire_fingerprint, recipients_epoch, restored_at`

/**
 * Every statement by name; exported so that a test can ask the planner about each. Partial indexes are named: the planner
 * knows nothing of how many rows are pending, and takes the index over all statuses and a sort where it may choose.
 */
export const outboxSql = {
  insertDraft: `
    INSERT INTO outbox (rowid, id, client_message_id, request_fingerprint, destination_kind, destination_ref, priority, payload,
                        status, enqueued_at, next_attempt_at, reply_to_id, mentions, addressed, receipts, message_bytes,
                        sealed, wire_fingerprint, recipients_epoch)
    VALUES ((SELECT last_position + 1 FROM outbox_state
              WHERE id = 1 AND last_position > coalesce((SELECT max(rowid) FROM outbox), 0)),
            @id, @clientMessageId, @requestFingerprint, @destinationKind, @destinationRef, @priority, @payload,
            @status, @now, @now, @replyToId, @mentions, @addressed, @receipts, @messageBytes,
            @sealed, @wireFingerprint, @recipientsEpoch)
    ON CONFLICT (client_message_id) WHERE released_at IS NULL DO NOTHING`,

  selectById: `SELECT ${rowColumns} FROM outbox WHERE id = ?`,
  selectBehind: `SELECT rowid AS position, ${rowColumns} FROM outbox WHERE rowid > ? ORDER BY rowid LIMIT +?`,
  lastPosition: `
    SELECT max(last_position, coalesce((SELECT max(rowid) FROM outbox), 0)) FROM outbox_state WHERE id = 1`,
  notePosition: `
    UPDATE outbox_state SET last_position = (SELECT max(rowid) FROM outbox)
     WHERE id = 1 AND last_position < (SELECT max(rowid) FROM outbox)`,
  selectByPosition: `SELECT ${rowColumns} FROM outbox WHERE rowid = ?`,
  selectByClientMessageId: `SELECT ${rowColumns} FROM outbox WHERE client_message_id = ? AND released_at IS NULL`,
  summaryByClientMessageId: `SELECT ${summaryColumns} FROM outbox WHERE client_message_id = ? AND released_at IS NULL`,
  summaryById: `SELECT ${summaryColumns} FROM outbox WHERE id = ?`,
  summaryOfPredecessor: `SELECT ${summaryColumns} FROM outbox WHERE superseded_by = ?`,
  selectByBrokerMessageId: `SELECT ${rowColumns} FROM outbox WHERE broker_message_id = ?`,
  selectReplies: `SELECT ${rowColumns} FROM outbox WHERE reply_to_id = ? ORDER BY rowid LIMIT +?`,

  selectPosition: `SELECT rowid FROM outbox WHERE id = ?`,
  listAll: `SELECT ${summaryColumns} FROM outbox WHERE rowid < @before ORDER BY rowid DESC LIMIT +@limit`,
  listByStatus: `
    SELECT ${summaryColumns} FROM outbox WHERE status = @status AND rowid < @before ORDER BY rowid DESC LIMIT +@limit`,

  unparkDue: `
    UPDATE outbox SET parked = 0
     WHERE rowid IN (SELECT rowid FROM outbox INDEXED BY outbox_parked
                      WHERE status = 'pending' AND parked = 1 AND next_attempt_at <= @now
                      ORDER BY next_attempt_at, rowid LIMIT +@limit)`,
  unparkBeyond: `
    UPDATE outbox SET parked = 0
     WHERE rowid IN (SELECT rowid FROM outbox INDEXED BY outbox_parked
                      WHERE status = 'pending' AND parked = 1 AND next_attempt_at > @horizon
                      ORDER BY next_attempt_at, rowid LIMIT +@limit)`,
  unparkAwaiting: `
    UPDATE outbox SET parked = 0, awaits_recipients = 0
     WHERE rowid IN (SELECT rowid FROM outbox INDEXED BY outbox_awaiting
                      WHERE status = 'pending' AND parked = 1 AND awaits_recipients = 1
                        AND destination_kind = @kind AND destination_ref = @ref
                      ORDER BY rowid LIMIT +@limit)`,
  unparkAllAwaiting: `
    UPDATE outbox SET parked = 0, awaits_recipients = 0
     WHERE rowid IN (SELECT rowid FROM outbox INDEXED BY outbox_awaiting
                      WHERE status = 'pending' AND parked = 1 AND awaits_recipients = 1)`,
  selectReady: `
    SELECT rowid AS position, coalesce(length(sealed), length(payload)) AS bytes
      FROM outbox INDEXED BY outbox_ready
     WHERE status = 'pending' AND parked = 0 AND priority = @priority ORDER BY rowid LIMIT +@limit`,
  anyReady: `SELECT 1 FROM outbox INDEXED BY outbox_ready WHERE status = 'pending' AND parked = 0 LIMIT 1`,
  firstParked: `
    SELECT next_attempt_at FROM outbox INDEXED BY outbox_parked
     WHERE status = 'pending' AND parked = 1 ORDER BY next_attempt_at LIMIT 1`,
  lastParked: `
    SELECT next_attempt_at FROM outbox INDEXED BY outbox_parked
     WHERE status = 'pending' AND parked = 1 ORDER BY next_attempt_at DESC LIMIT 1`,
  oldestPending: `SELECT min(enqueued_at) FROM outbox INDEXED BY outbox_age WHERE status = 'pending'`,

  parkForRecipients: `
    UPDATE outbox SET parked = 1, awaits_recipients = 1, next_attempt_at = @nextAttemptAt,
                      last_error = coalesce(@lastError, last_error)
     WHERE rowid = @position AND status = 'pending' AND parked = 0`,
  freezeAndClaim: `
    UPDATE outbox SET status = 'inflight', sealed = @sealed, wire_fingerprint = @wireFingerprint,
                      recipients_epoch = @recipientsEpoch, awaits_recipients = 0
     WHERE rowid = @position AND status = 'pending' AND sealed IS NULL`,
  claimFrozen: `
    UPDATE outbox SET status = 'inflight' WHERE rowid = @position AND status = 'pending' AND sealed IS NOT NULL`,
  selectUnsealed: `
    SELECT rowid FROM outbox INDEXED BY outbox_status
     WHERE status = 'pending' AND sealed IS NULL AND rowid > @after ORDER BY rowid LIMIT +@limit`,
  freeze: `
    UPDATE outbox SET sealed = @sealed, wire_fingerprint = @wireFingerprint, recipients_epoch = @recipientsEpoch,
                      parked = CASE WHEN awaits_recipients = 1 THEN 0 ELSE parked END, awaits_recipients = 0
     WHERE rowid = @position AND status = 'pending' AND sealed IS NULL`,
  markRestored: `UPDATE outbox SET restored_at = @now WHERE status = 'pending'`,
  endUnsealable: `
    UPDATE outbox SET status = 'dead', last_error = @lastError WHERE id = @outboxId AND status = 'pending'`,

  settleAccepted: `
    UPDATE outbox SET status = 'done', attempts = attempts + 1, last_error = NULL, delivered_at = @at,
                      broker_message_id = @brokerMessageId, history_id = @historyId, recipient_count = @recipientCount
     WHERE id = @outboxId AND status = 'inflight'`,
  settleRetry: `
    UPDATE outbox SET status = 'pending', attempts = attempts + 1, last_error = @lastError,
                      next_attempt_at = @nextAttemptAt, parked = @parked
     WHERE id = @outboxId AND status = 'inflight'`,
  settleReseal: `
    UPDATE outbox SET status = 'pending', attempts = attempts + 1, last_error = @lastError,
                      next_attempt_at = @nextAttemptAt, parked = @parked, sealed = NULL, wire_fingerprint = NULL,
                      recipients_epoch = NULL
     WHERE id = @outboxId AND status = 'inflight'`,
  settleRefused: `
    UPDATE outbox SET status = 'dead', attempts = attempts + 1, last_error = @lastError
     WHERE id = @outboxId AND status = 'inflight'`,
  releaseInflight: `
    UPDATE outbox SET status = 'pending', attempts = attempts + 1, last_error = @lastError,
                      next_attempt_at = @nextAttemptAt, parked = 1
     WHERE status = 'inflight'`,

  selectOlderPending: `
    SELECT id FROM outbox INDEXED BY outbox_age
     WHERE status = 'pending' AND enqueued_at < @before ORDER BY enqueued_at, rowid LIMIT +@limit`,
  expirePending: `
    UPDATE outbox SET status = 'dead', last_error = @lastError WHERE id = @id AND status = 'pending'`,
  abort: `
    UPDATE outbox SET status = 'aborted', aborted_at = @now, aborted_by = @by, superseded_by = @supersededBy,
                      released_at = @releasedAt
     WHERE id = @id AND status = @from`,

  stripDone: `
    UPDATE outbox SET payload = x'', sealed = NULL
     WHERE rowid IN (SELECT rowid FROM outbox INDEXED BY outbox_retention
                      WHERE status = 'done' AND (length(payload) > 0) = 1 AND delivered_at <= @before LIMIT +@limit)`,
  deleteDone: `
    DELETE FROM outbox
     WHERE rowid IN (SELECT rowid FROM outbox INDEXED BY outbox_retention
                      WHERE status = 'done' AND (length(payload) > 0) = 0 AND delivered_at <= @before LIMIT +@limit)`,
  deleteEnded: `
    DELETE FROM outbox
     WHERE rowid IN (SELECT rowid FROM outbox INDEXED BY outbox_status
                      WHERE status = @status AND enqueued_at <= @before ORDER BY rowid LIMIT +@limit)`,

  countByStatus: `SELECT status, count(*) AS rows FROM outbox GROUP BY status`,

  findByBrokerMessageId: `SELECT id FROM outbox WHERE broker_message_id = ?`,
  findUnansweredByClientMessageId: `
    SELECT id FROM outbox WHERE client_message_id = ? AND released_at IS NULL AND broker_message_id IS NULL`,
  insertReceipt: `
    INSERT INTO receipt (outbox_id, recipient, state, at, reason) VALUES (@outboxId, @recipient, @state, @at, @reason)
    ON CONFLICT DO NOTHING`,
  selectReceipts: `
    SELECT recipient, state, at, reason FROM receipt WHERE outbox_id = ? ORDER BY recipient, state`,

  insertAnnouncement: `
    INSERT INTO announcement (outbox_id, kind, recipient, state) VALUES (@outboxId, @kind, @recipient, @state)`,
  selectAnnouncements: `
    SELECT a.seq, a.outbox_id AS outboxId, a.kind, a.recipient, a.state, o.client_message_id AS clientMessageId,
           o.broker_message_id AS brokerMessageId, o.history_id AS historyId, o.recipient_count AS recipientCount,
           o.last_error AS lastError, o.destination_kind AS destinationKind, o.destination_ref AS destinationRef,
           coalesce(o.delivered_at, o.aborted_at) AS endedAt, r.at, r.reason
      FROM announcement a LEFT JOIN outbox o ON o.id = a.outbox_id
           LEFT JOIN receipt r ON r.outbox_id = a.outbox_id AND r.recipient = a.recipient AND r.state = a.state
     WHERE a.seq > @after ORDER BY a.seq LIMIT +@limit`,
  deleteAnnouncements: `DELETE FROM announcement WHERE seq <= ?`,
} as const

export type OutboxStatements = ReturnType<typeof prepareOutboxStatements>

/** Prepares every statement once and gives each a typed form. */
export function prepareOutboxStatements(db: Database) {
  const sql = prepareAll(db)
  const row = (name: RowStatement, key: string | number) => toRow(sql[name].get(key))
  const summary = (name: SummaryStatement, key: string) => toSummaryOrNull(sql[name].get(key))
  return {
    /**
     * @param frozen what it is sealed as when it is claimed by the commit that stores it; null: it is pending
     * @returns false when a live row has this client_message_id
     */
    insertDraft(draft: OutboxDraft, frozen: SealedMessage | null, now: number): boolean {
      // Written out: copying the draft with a spread took a quarter of the time of an insert.
      const { id, clientMessageId, requestFingerprint, destinationKind, destinationRef, priority } = draft
      const { payload, replyToId, addressed, messageBytes } = draft
      const { changes } = sql.insertDraft.run({
        id,
        clientMessageId,
        requestFingerprint,
        destinationKind,
        destinationRef,
        priority,
        payload,
        status: frozen === null ? 'pending' : 'inflight',
        now,
        replyToId,
        mentions: encodeMentions(draft.mentions),
        addressed,
        receipts: draft.receipts ? 1 : 0,
        messageBytes,
        sealed: frozen?.sealed ?? null,
        wireFingerprint: frozen?.wireFingerprint ?? null,
        recipientsEpoch: frozen?.recipientsEpoch ?? null,
      })
      return changes === 1
    },
    byId: (id: string) => row('selectById', id),
    behind: (position: number, limit: number): PositionedRow[] =>
      (sql.selectBehind.all(position, limit) as (RowRecord & { position: number })[]).map((record) => ({
        position: record.position,
        row: toRowStrict(record),
      })),
    lastPosition: () => pluck<number>(sql.lastPosition) ?? 0,
    notePosition: () => void sql.notePosition.run(),
    byPosition: (position: number) => row('selectByPosition', position),
    byClientMessageId: (id: string) => row('selectByClientMessageId', id),
    byBrokerMessageId: (id: string) => row('selectByBrokerMessageId', id),
    replies: (brokerMessageId: string, limit: number) => sql.selectReplies.all(brokerMessageId, limit).map(toRowStrict),
    summaryById: (id: string) => summary('summaryById', id),
    summaryByClientMessageId: (id: string) => summary('summaryByClientMessageId', id),
    predecessor: (id: string) => summary('summaryOfPredecessor', id),
    position: (id: string) => pluck<number>(sql.selectPosition, id),
    list(o: { status: OutboxStatus | null; before: number; limit: number }): OutboxSummary[] {
      const { status, ...page } = o
      const records = status === null ? sql.listAll.all(page) : sql.listByStatus.all({ status, ...page })
      return (records as SummaryRecord[]).map(toSummary)
    },

    unparkDue: (o: { now: number; limit: number }) => sql.unparkDue.run(o).changes,
    unparkBeyond: (o: { horizon: number; limit: number }) => sql.unparkBeyond.run(o).changes,
    ready: (priority: Priority, limit: number) => sql.selectReady.all({ priority, limit }) as Claimable[],
    anyReady: () => sql.anyReady.get() !== undefined,
    firstParkedAt: () => pluck<number>(sql.firstParked),
    lastParkedAt: () => pluck<number>(sql.lastParked),
    oldestPendingAt: () => pluck<number>(sql.oldestPending),

    /** Makes rows ready that wait for the recipients of a destination, oldest first. */
    unparkAwaiting: (o: { kind: DestinationKind; ref: string; limit: number }) => sql.unparkAwaiting.run(o).changes,
    unparkAllAwaiting: () => sql.unparkAllAwaiting.run().changes,
    parkForRecipients: (o: { position: number; nextAttemptAt: number; lastError: string | null }) =>
      sql.parkForRecipients.run(o).changes,
    freezeAndClaim: (o: {
      position: number
      sealed: Buffer
      wireFingerprint: Buffer
      recipientsEpoch: number | null
    }) => sql.freezeAndClaim.run(o).changes,
    /** Positions of pending rows without frozen bytes, in order. */
    unsealed: (o: { after: number; limit: number }) =>
      (sql.selectUnsealed.all(o) as { rowid: number }[]).map(({ rowid }) => rowid),
    freeze: (o: { position: number; sealed: Buffer; wireFingerprint: Buffer; recipientsEpoch: number | null }) =>
      sql.freeze.run(o).changes,
    markRestored: (now: number) => sql.markRestored.run({ now }).changes,
    claimFrozen: (position: number) => sql.claimFrozen.run({ position }).changes,
    endUnsealable: (o: { outboxId: string; lastError: string }) => sql.endUnsealable.run(o).changes,

    settleAccepted: (o: {
      outboxId: string
      at: number
      brokerMessageId: string
      historyId: string
      recipientCount: number
    }) => sql.settleAccepted.run(o).changes,
    settleRetry(o: { outboxId: string; nextAttemptAt: number; parked: boolean; lastError: string; reseal: boolean }) {
      const { reseal, parked, ...columns } = o
      const statement = reseal ? sql.settleReseal : sql.settleRetry
      return statement.run({ ...columns, parked: parked ? 1 : 0 }).changes
    },
    settleRefused: (o: { outboxId: string; lastError: string }) => sql.settleRefused.run(o).changes,
    releaseInflight: (o: { nextAttemptAt: number; lastError: string }) => sql.releaseInflight.run(o).changes,

    olderPending: (o: { before: number; limit: number }) =>
      (sql.selectOlderPending.all(o) as { id: string }[]).map(({ id }) => id),
    expirePending: (o: { id: string; lastError: string }) => sql.expirePending.run(o).changes,
    abort: (o: {
      id: string
      from: OutboxStatus
      now: number
      by: string
      supersededBy: string | null
      releasedAt: number | null
    }) => sql.abort.run(o).changes,

    stripDone: (o: { before: number; limit: number }) => sql.stripDone.run(o).changes,
    deleteDone: (o: { before: number; limit: number }) => sql.deleteDone.run(o).changes,
    deleteEnded: (o: { status: OutboxStatus; before: number; limit: number }) => sql.deleteEnded.run(o).changes,
    countByStatus: () => sql.countByStatus.all() as { status: OutboxStatus; rows: number }[],

    findByBrokerMessageId: (id: string) => pluck<string>(sql.findByBrokerMessageId, id),
    findUnansweredByClientMessageId: (id: string) => pluck<string>(sql.findUnansweredByClientMessageId, id),
    /** @returns false when this receipt is already there */
    insertReceipt: (o: StoredReceipt & { outboxId: string }) => sql.insertReceipt.run(o).changes === 1,
    receipts: (outboxId: string) => sql.selectReceipts.all(outboxId) as StoredReceipt[],

    announce: (o: Announcement) => sql.insertAnnouncement.run(o),
    announcements: (o: { after: number; limit: number }) => sql.selectAnnouncements.all(o) as AnnouncedChange[],
    forgetAnnouncements: (throughSeq: number) => sql.deleteAnnouncements.run(throughSeq).changes,
  }
}

type RowStatement = 'selectById' | 'selectByPosition' | 'selectByClientMessageId' | 'selectByBrokerMessageId'
type SummaryStatement = 'summaryById' | 'summaryByClientMessageId' | 'summaryOfPredecessor'

function prepareAll(db: Database): Record<keyof typeof outboxSql, Statement> {
  const prepared = Object.entries(outboxSql).map(([name, text]) => [name, db.prepare(text)])
  return Object.fromEntries(prepared) as Record<keyof typeof outboxSql, Statement>
}

function pluck<T>(statement: Statement, ...parameters: unknown[]): T | null {
  const record = statement.get(...parameters) as Record<string, T | null> | undefined
  return record === undefined ? null : (Object.values(record)[0] ?? null)
}

function toSummary(record: SummaryRecord): OutboxSummary {
  return {
    id: record.id,
    clientMessageId: record.client_message_id,
    requestFingerprint: record.request_fingerprint,
    destinationKind: record.destination_kind,
    destinationRef: record.destination_ref,
    priority: record.priority,
    status: record.status,
    enqueuedAt: record.enqueued_at,
    attempts: record.attempts,
    nextAttemptAt: record.next_attempt_at,
    lastError: record.last_error,
    deliveredAt: record.delivered_at,
    brokerMessageId: record.broker_message_id,
    historyId: record.history_id,
    abortedAt: record.aborted_at,
    abortedBy: record.aborted_by,
    supersededBy: record.superseded_by,
    releasedAt: record.released_at,
    replyToId: record.reply_to_id,
    mentions: decodeMentions(record.mentions),
    addressed: record.addressed,
    receipts: record.receipts === 1,
    messageBytes: record.message_bytes,
    recipientCount: record.recipient_count,
  }
}

function toSummaryOrNull(record: unknown): OutboxSummary | null {
  return record === undefined ? null : toSummary(record as SummaryRecord)
}

function toRow(record: unknown): OutboxRow | null {
  return record === undefined ? null : toRowStrict(record)
}

function toRowStrict(record: unknown): OutboxRow {
  const { payload, sealed, wire_fingerprint, recipients_epoch, restored_at } = record as RowRecord
  // An envelope is never empty, so an empty payload can only be one that retention removed.
  return {
    ...toSummary(record as RowRecord),
    payload: payload.length === 0 ? null : payload,
    sealed,
    wireFingerprint: wire_fingerprint,
    recipientsEpoch: recipients_epoch,
    restoredAt: restored_at,
  }
}

function encodeMentions(mentions: readonly string[]): string | null {
  return mentions.length === 0 ? null : JSON.stringify(mentions)
}

function decodeMentions(text: string | null): readonly string[] {
  return text === null ? [] : (JSON.parse(text) as string[])
}
