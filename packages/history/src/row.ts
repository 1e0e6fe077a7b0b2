/** What a row says, and the digest by which it is known again. */
import { createHash } from 'node:crypto'
import { canonicalJson, type HistoryRow } from '@claudemesh/protocol'

/** A row before it has a place in the record. */
export type HistoryContent = Omit<HistoryRow, 'seq' | 'partition' | 'row_id'>

/** Its members in the order in which the digest has them. */
const contentColumns = [
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
] as const satisfies readonly (keyof HistoryContent)[]

/** SHA-256, in hex, of a JSON array (RFC 8785): the name of the partition, then what the row says. */
export function rowId(partition: string, content: HistoryContent): string {
  const members = [partition, ...contentColumns.map((column) => content[column])]
  return createHash('sha256')
    .update(canonicalJson(members as Parameters<typeof canonicalJson>[0]))
    .digest('hex')
}
