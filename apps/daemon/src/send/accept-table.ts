/**
 * What a send is answered, given the row that already has its id (02 §4). The table is the contract's, row by row.
 *
 * - `row`          the status of the live row with this client_message_id; null: there is none
 * - `fingerprint`  whether the request is the one that row was made from; null where there is nothing to compare
 * - `http`         200 and 202 are answers, 409 is a problem of code `idempotency_key_reused`
 * - `conflict`     what a 409 says about the id
 * - `tells`        what else the answer carries of the row
 *
 * Only the first line makes a row, and `Outbox.accept` has made it by then; no other line changes anything.
 */
import { fingerprintPrefix, MeshError, type OutboxStatus, type SendResponse } from '@claudemesh/protocol'
import type { AcceptOutcome, StoredReceipt } from '../outbox/outbox.ts'
import { toSendResponse } from './views.ts'

export interface AcceptRule {
  readonly row: OutboxStatus | null
  readonly fingerprint: 'match' | 'mismatch' | null
  readonly http: 200 | 202 | 409
  readonly conflict: string | null
  readonly tells: 'broker_message_id' | 'reason' | null
}

// biome-ignore format: a table
export const acceptTable: readonly AcceptRule[] = [
  { row: null,       fingerprint: null,       http: 202, conflict: null,                                  tells: null },
  { row: 'pending',  fingerprint: 'match',    http: 202, conflict: null,                                  tells: null },
  { row: 'pending',  fingerprint: 'mismatch', http: 409, conflict: 'outbox_pending_fingerprint_mismatch',  tells: null },
  { row: 'inflight', fingerprint: 'match',    http: 202, conflict: null,                                  tells: null },
  { row: 'inflight', fingerprint: 'mismatch', http: 409, conflict: 'outbox_inflight_fingerprint_mismatch', tells: null },
  { row: 'done',     fingerprint: 'match',    http: 200, conflict: null,                                  tells: null },
  { row: 'done',     fingerprint: 'mismatch', http: 409, conflict: 'outbox_done_fingerprint_mismatch',     tells: 'broker_message_id' },
  { row: 'dead',     fingerprint: 'match',    http: 409, conflict: 'outbox_dead_fingerprint_match',        tells: 'reason' },
  { row: 'dead',     fingerprint: 'mismatch', http: 409, conflict: 'outbox_dead_fingerprint_mismatch',     tells: null },
  { row: 'aborted',  fingerprint: 'match',    http: 409, conflict: 'outbox_aborted_fingerprint_match',     tells: null },
  { row: 'aborted',  fingerprint: 'mismatch', http: 409, conflict: 'outbox_aborted_fingerprint_mismatch',  tells: null },
]

/** An answer to a send that has a row. 4xx and 5xx are thrown as `MeshError`. */
export interface SendAnswer {
  readonly httpStatus: 200 | 202
  readonly body: SendResponse
}

/** The line of the table for an outcome of `Outbox.accept` and the fingerprint of the request at hand. */
export function findAcceptRule(outcome: AcceptOutcome, fingerprint: Buffer): AcceptRule {
  const row = outcome.inserted ? null : outcome.row.status
  const isMatch = outcome.row.requestFingerprint.equals(fingerprint)
  const match = outcome.inserted ? null : isMatch ? 'match' : 'mismatch'
  const rule = acceptTable.find((line) => line.row === row && line.fingerprint === match)
  if (rule === undefined) throw new Error(`the accept table has no line for ${row}, ${match}`)
  return rule
}

/**
 * The answer by the table.
 *
 * @param receiptsOf read only for a row that is done
 * @throws MeshError `idempotency_key_reused`
 */
export function answerAccept(
  outcome: AcceptOutcome,
  fingerprint: Buffer,
  receiptsOf: (outboxId: string) => readonly StoredReceipt[],
): SendAnswer {
  const rule = findAcceptRule(outcome, fingerprint)
  switch (rule.http) {
    case 202:
      return { httpStatus: 202, body: toSendResponse(outcome.row, []) }
    case 200:
      return { httpStatus: 200, body: { ...toSendResponse(outcome.row, receiptsOf(outcome.row.id)), duplicate: true } }
    case 409:
      throw conflictError(rule, outcome, fingerprint)
    default:
      return rule.http satisfies never
  }
}

function conflictError(rule: AcceptRule, { row }: AcceptOutcome, fingerprint: Buffer): MeshError {
  const told =
    rule.tells === 'broker_message_id'
      ? { broker_message_id: row.brokerMessageId }
      : rule.tells === 'reason'
        ? { reason: row.lastError }
        : {}
  return new MeshError('idempotency_key_reused', {
    detail:
      rule.fingerprint === 'match'
        ? `this send has ended: its outbox row is ${row.status}`
        : `the idempotency key belongs to another send, whose outbox row is ${row.status}`,
    data: {
      conflict: rule.conflict,
      client_message_id: row.clientMessageId,
      daemon_fingerprint_prefix: fingerprintPrefix(fingerprint),
      outbox_id: row.id,
      ...told,
    },
  })
}
