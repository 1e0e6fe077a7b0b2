/** What other packages may use of the history. */
export type { HistorySource, ReadOptions, ReadRow } from './history-source.ts'
export { formatPartition, type Partition, parsePartition } from './partition.ts'
export { type HistoryContent, rowId } from './row.ts'
