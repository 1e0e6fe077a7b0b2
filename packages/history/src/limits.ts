/** Every bound of the record. */

/** Seqs that are reserved ahead of the rows that get them, so that a commit of rows does not wait for the mark. */
export const seqsReserved = 10_000
/** How far seqs jump when rows may have been given some that are not known any more. */
export const seqsSkipped = 1_000_000_000

/** Rows, and bytes of bodies, that a read holds at once. */
export const readRowsMax = 1_000
export const readBytesMax = 1024 * 1024
/** Rows that a page of a query looks at before it says how far it came. */
export const scannedRowsMax = 10_000

/** Rows that one transaction of retention deletes. */
export const pruneRowsMax = 1_000

/** Rows of one step of a compaction. With bodies of a few KiB a step takes some milliseconds. */
export const compactRowsMax = 128
/** Bytes of bodies of one step. */
export const compactBytesMax = 512 * 1024
