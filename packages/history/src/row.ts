/** What a row says, and the digest by which it is known again. */
import { createHash } from 'node:crypto'
import { canonicalJson, type HistoryRow, type JsonObject } from '@claudemesh/protocol'

/** A row before it has a place in the record. */
export type HistoryContent = Omit<HistoryRow, 'seq' | 'partition' | 'row_id'>

/** Every member of a row. */
export const allColumns: readonly (keyof HistoryRow)[] = [
  'seq',
  'partition',
  'direction',
  'mesh',
  'at',
  'sender',
  'destination',
  'client_message_id',
  'broker_message_id',
  'history_id',
  'body',
  'meta',
  'state',
  'row_id',
]

/** What the digest is over, in its order. */
type Digested = Omit<HistoryContent, 'meta'> & { readonly meta: string | null }

/** SHA-256 of a JSON array (RFC 8785): the name of the partition, then what the row says; `meta` as its canonical text. */
export function rowDigest(partition: string, row: Digested): Buffer {
  const members = [
    partition,
    row.direction,
    row.mesh,
    row.at,
    row.sender,
    row.destination,
    row.client_message_id,
    row.broker_message_id,
    row.history_id,
    row.body,
    row.meta,
    row.state,
  ]
  return createHash('sha256').update(JSON.stringify(members)).digest()
}

/** The digest of a row as rows have it. */
export function rowId(partition: string, content: HistoryContent): string {
  return rowDigest(partition, { ...content, meta: metaText(content.meta) }).toString('hex')
}

/** The one text that is stored of an object. */
export function metaText(meta: HistoryContent['meta']): string | null {
  return meta === null ? null : canonicalJson(meta as JsonObject)
}
