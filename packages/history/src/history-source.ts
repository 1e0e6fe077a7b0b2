import type { HistoryRow } from '@claudemesh/protocol'
import type { Partition } from './partition.ts'

/** Which rows to read, and what of them. */
export interface ReadOptions<Column extends keyof HistoryRow> {
  /** Rows behind this seq. 0 or absent: from the start, with the rows that have no seq first. */
  readonly since?: number
  /** Rows up to this seq; absent: to the newest. */
  readonly until?: number
  /** Absent: all. */
  readonly columns?: readonly Column[]
}

export interface ReadRow<Column extends keyof HistoryRow> {
  readonly row: Pick<HistoryRow, Column>
  /** `since` for a read that goes on behind this row; below 0 behind one that has no seq. */
  readonly after: number
}

/** The record as an export reads it. */
export interface HistorySource {
  partitions(): readonly Partition[]
  /**
   * The seq of the newest row there ever was, 0 before the first. Everything up to it is on the disk when this returns, so
   * that it will be the same rows after any crash; rows that come later have a greater seq.
   */
  newestSeq(partition: Partition): number
  /**
   * Rows with `since < seq <= until` in order of their seq. A read costs what it gives, whatever the partition holds; it
   * goes on, and gives every row once, when the partition is compacted meanwhile.
   */
  readRows<Column extends keyof HistoryRow = keyof HistoryRow>(
    partition: Partition,
    options?: ReadOptions<Column>,
  ): AsyncIterable<ReadRow<Column>>
  /** How many rows with `since < seq <= until` retention deleted although a sink that was known had not acknowledged them. */
  lost(partition: Partition, since: number, until: number): { readonly rows: number }
  /**
   * Says that a sink has everything up to a seq; 0 makes a new sink known. What a known sink has not acknowledged is kept as
   * long as the settings allow.
   */
  acknowledge(sink: string, partition: Partition, seq: number): void
  /** Up to where a sink is known to have a partition; null: it is not known. */
  acknowledged(sink: string, partition: Partition): number | null
}
