import type { HistoryRow } from '@claudemesh/protocol'

/** Rows as the bytes of one object, and back: equal rows are equal rows again. */
export interface BlobWriter {
  /** What the names of objects end with. */
  readonly extension: string
  /** Equal rows give equal bytes, with the versions of this software and of Node that are in use. */
  encode(rows: readonly HistoryRow[]): Promise<Uint8Array>
  decode(bytes: Uint8Array): Promise<readonly HistoryRow[]>
}
