/** The store that rows are exported from: what sinks ask of it, whoever it is. */
import type { HistoryRow } from '@claudemesh/protocol'

/** Rows that are counted, kept and exported on their own; its name never changes. */
export interface Partition {
  /** As in `messages`. */
  readonly dataset: string
  /** As in `mesh=home`. */
  readonly source: string
}

/** Rows with `since < seq <= until`. */
export interface SeqRange {
  readonly since: number
  readonly until: number
}

export interface RowSource {
  partitions(): readonly Partition[]
  /** The seq of the newest row there ever was, 0 before the first. */
  newestSeq(partition: Partition): number
  /** In order of their seq; where the range begins at 0 those without one come first. */
  readRows(partition: Partition, range: SeqRange): AsyncIterable<{ readonly row: HistoryRow }>
  /** Rows of a range that retention deleted before the sinks that it knew had them. */
  lost(partition: Partition, since: number, until: number): { readonly rows: number }
  /** Says that a sink has everything up to a seq; 0 makes a new sink known. */
  acknowledge(sink: string, partition: Partition, seq: number): void
  /** What it was told last; null: it does not know the sink. */
  acknowledged(sink: string, partition: Partition): number | null
}

/** As people read it: `messages/mesh=home`. */
export function formatPartition({ dataset, source }: Partition): string {
  return `${dataset}/${source}`
}
