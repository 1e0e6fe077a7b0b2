/** Rows as lines of JSON: equal rows are equal bytes. */
import type { HistoryRow } from '@claudemesh/protocol'

/** All lines of some rows. */
export function encodeRows(rows: readonly HistoryRow[]): string {
  return rows.map(encodeRow).join('')
}

/** One line, with its end; its members in the order of the columns. */
export function encodeRow(row: HistoryRow): string {
  const line: HistoryRow = {
    seq: row.seq,
    partition: row.partition,
    direction: row.direction,
    mesh: row.mesh,
    at: row.at,
    sender: row.sender,
    destination: row.destination,
    client_message_id: row.client_message_id,
    broker_message_id: row.broker_message_id,
    history_id: row.history_id,
    body: row.body,
    meta: row.meta,
    state: row.state,
    row_id: row.row_id,
  }
  return `${JSON.stringify(line)}\n`
}
