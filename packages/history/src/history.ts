/**
 * The daemon's own record of everything sent and received (08 §1).
 *
 * 1. `seq` is one counter for all partitions, given in the transaction that adds the row, and never given again: not after
 *    a crash, a prune, a compaction, a backup that is restored, or in an empty partition.
 * 2. Retention takes the oldest rows first. What a sink waits for stays until it passes a cap, and whoever opened the
 *    history is told before it goes.
 * 3. A read costs what it gives, and goes on while its partition is compacted.
 * 4. Where more was exported than is here, the files are older than they were: seqs go on behind what was exported.
 */
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { type HistoryRow, MeshError } from '@claudemesh/protocol'
import { ensurePrivateDirectory } from '@claudemesh/storage'
import { type Compacted, compact } from './compaction.ts'
import { listPartitions } from './directory.ts'
import type { HistorySource, ReadOptions, ReadRow } from './history-source.ts'
import { pruneRowsMax } from './limits.ts'
import { formatPartition, type Partition } from './partition.ts'
import { type Addition, PartitionStore } from './partition-store.ts'
import { type HistoryPage, type HistoryQuery, queryPage } from './query.ts'
import { readRows } from './reading.ts'
import { planStep, type Retention } from './retention.ts'
import type { HistoryContent } from './row.ts'
import { type SeqJump, Seqs } from './seqs.ts'
import type { SourceCursor } from './statements.ts'
import { type PartitionStats, readStats } from './stats.ts'

export interface HistoryOptions {
  readonly directory: string
  /** Milliseconds since the epoch. */
  readonly now: () => number
  readonly retentionOf: (dataset: string) => Retention
  /** Told before rows are deleted that a sink has not acknowledged, once each time that this begins. */
  readonly losing: (partition: Partition) => void
  /** What is known elsewhere to have been exported. */
  readonly exported: readonly Exported[]
}

/** How far somebody has a partition. */
export interface Exported {
  readonly partition: Partition
  readonly seq: number
}

export interface Pruned {
  readonly partition: string
  readonly rows: number
  /** How many of them no sink will get. */
  readonly lost: number
}

export class History implements HistorySource {
  readonly #options: HistoryOptions
  readonly #stores = new Map<string, PartitionStore>()
  readonly #seqs: Seqs
  /** Partitions that are being compacted, and how to end it. */
  readonly #compacting = new Map<string, AbortController>()
  readonly #losing = new Set<string>()
  /** Partitions whose files do not have all that was exported of them, and how far that was. */
  readonly #overtaken = new Map<string, number>()
  /** Whether nothing was ever recorded before it was opened. */
  readonly isNew: boolean

  /** @throws MeshError `history_damaged`, `database_corrupt`, `schema_too_new`, `unsafe_permissions`, `storage_failed` */
  static open(options: HistoryOptions): History {
    ensurePrivateDirectory(options.directory)
    const stores: PartitionStore[] = []
    try {
      for (const partition of listPartitions(options.directory)) {
        stores.push(PartitionStore.open({ ...options, partition, isNew: false }))
      }
      return new History(options, stores)
    } catch (error) {
      for (const store of stores) store.close()
      throw error
    }
  }

  private constructor(options: HistoryOptions, stores: readonly PartitionStore[]) {
    this.#options = options
    for (const store of stores) this.#stores.set(store.name, store)
    for (const { partition, seq } of options.exported) this.#noteExported(formatPartition(partition), seq)
    const seqs = options.exported.map(({ seq }) => seq)
    const newest = Math.max(0, ...stores.map(({ state }) => state.newestSeq), ...seqs)
    const path = seqsPath(options.directory)
    this.#seqs = Seqs.open({ path, newest, now: options.now })
    this.isNew = this.#seqs.last === 0
  }

  /** Ends compactions and closes the files. */
  close(): void {
    for (const controller of this.#compacting.values()) controller.abort()
    for (const store of this.#stores.values()) store.close()
    this.#seqs.close()
  }

  get broken(): boolean {
    return [...this.#stores.values()].some((store) => store.broken)
  }

  /** Where seqs were passed over, oldest first. */
  get jumps(): readonly SeqJump[] {
    return this.#seqs.jumps
  }

  // ---- recording ---------------------------------------------------------------------------------------------------

  /**
   * Adds rows, and moves the cursors of the sources they came from, in one transaction. The partition is made with its
   * first rows.
   *
   * @returns how many rows are new @throws MeshError `insufficient_storage`, `storage_failed`; then nothing was added
   */
  append(partition: Partition, addition: Addition): number {
    return this.#make(partition).append(this.#seqs, addition)
  }

  /** Adds rows that were recorded before there was a `seq`; see `PartitionStore.adopt`. @returns how many are new */
  adopt(partition: Partition, rows: readonly HistoryContent[]): number {
    return this.#make(partition).adopt(this.#seqs, rows)
  }

  /** Whether it lacks rows that were exported: its sources were recorded further than its cursors say. */
  isOvertaken(partition: Partition): boolean {
    return this.#overtaken.has(formatPartition(partition))
  }

  /** Goes on with an overtaken partition behind what was exported, at places that its sources have reached. */
  passOver(partition: Partition, cursors: readonly SourceCursor[]): void {
    const name = formatPartition(partition)
    const seq = this.#overtaken.get(name)
    if (seq === undefined) throw new Error(`${name} has everything that was exported`)
    this.#find(partition)?.passOver(seq, cursors)
    this.#overtaken.delete(name)
  }

  /** Up to where a source was recorded; null: it never was. */
  cursor(partition: Partition, source: string): SourceCursor | null {
    return this.#find(partition)?.cursor(source) ?? null
  }

  // ---- exporting ---------------------------------------------------------------------------------------------------

  partitions(): readonly Partition[] {
    return [...this.#stores.values()].map((store) => store.partition)
  }

  newestSeq(partition: Partition): number {
    return this.#find(partition)?.newestSeq() ?? 0
  }

  readRows<Column extends keyof HistoryRow = keyof HistoryRow>(
    partition: Partition,
    options: ReadOptions<Column> = {},
  ): AsyncIterable<ReadRow<Column>> {
    return readRows(() => this.#find(partition), options)
  }

  lost(partition: Partition, since: number, until: number): { readonly rows: number } {
    return { rows: this.#find(partition)?.lost(since, until) ?? 0 }
  }

  acknowledge(sink: string, partition: Partition, seq: number): void {
    // It has rows that this history does not know: an older one was put in its place.
    if (seq > this.#seqs.last) this.#seqs.jump(seq, 'sink_ahead')
    this.#find(partition)?.acknowledge(sink, seq)
  }

  acknowledged(sink: string, partition: Partition): number | null {
    return this.#find(partition)?.acknowledged(sink) ?? null
  }

  /** Forgets every sink but these: nothing waits for what is not configured any more. */
  keepSinks(names: readonly string[]): void {
    for (const store of this.#stores.values()) {
      for (const { name } of store.sinks) if (!names.includes(name)) store.forgetSink(name)
    }
  }

  // ---- looking -----------------------------------------------------------------------------------------------------

  query(partition: Partition, query: HistoryQuery): HistoryPage {
    const store = this.#find(partition)
    return store === null ? { rows: [], next: null } : queryPage(store, query)
  }

  stats(): readonly PartitionStats[] {
    const { retentionOf } = this.#options
    return [...this.#stores.values()].map((store) => readStats(store, retentionOf(store.partition.dataset)))
  }

  // ---- upkeep ------------------------------------------------------------------------------------------------------

  /**
   * Deletes what retention does not keep, in small transactions. A partition that is being compacted waits for the next time.
   *
   * @param now by a clock that is not ahead
   * @throws MeshError `storage_failed`
   */
  async prune(now: number): Promise<readonly Pruned[]> {
    const done: Pruned[] = []
    for (const store of [...this.#stores.values()]) {
      let pruned: Pruned = { partition: store.name, rows: 0, lost: 0 }
      for (;;) {
        const step = this.#compacting.has(store.name) ? null : this.#pruneStep(store, now)
        if (step === null) break
        pruned = { ...pruned, rows: pruned.rows + step.rows, lost: pruned.lost + step.lost }
        await turn()
      }
      if (pruned.lost === 0) this.#losing.delete(store.name)
      done.push(pruned)
    }
    return done
  }

  /**
   * Puts a new generation in the place of the one of a partition.
   *
   * @throws MeshError `compaction_running`, `history_damaged`, `insufficient_storage`, `storage_failed`, `not_found`
   */
  async compact(partition: Partition): Promise<Compacted> {
    const store = this.#find(partition)
    const name = formatPartition(partition)
    if (store === null) throw new MeshError('not_found', { detail: `there is no partition ${name}` })
    if (this.#compacting.has(name)) {
      throw new MeshError('compaction_running', { detail: `${name} is being compacted already` })
    }
    const controller = new AbortController()
    this.#compacting.set(name, controller)
    try {
      return await compact(store, { now: this.#options.now, signal: controller.signal })
    } finally {
      this.#compacting.delete(name)
    }
  }

  /** @returns null when everything that is left stays */
  #pruneStep(store: PartitionStore, now: number): { readonly rows: number; readonly lost: number } | null {
    const { retentionOf, losing } = this.#options
    const step = planStep({
      ...store.front(pruneRowsMax),
      now,
      acknowledged: store.acknowledgedByAll,
      retention: retentionOf(store.partition.dataset),
    })
    if (step.through === null) return null
    if (step.losing > 0 && !this.#losing.has(store.name)) {
      losing(store.partition)
      this.#losing.add(store.name)
    }
    return store.removeThrough(step.through)
  }

  #noteExported(name: string, seq: number): void {
    const newest = this.#stores.get(name)?.state.newestSeq
    if (newest !== undefined && seq > Math.max(newest, this.#overtaken.get(name) ?? 0)) this.#overtaken.set(name, seq)
  }

  #find(partition: Partition): PartitionStore | null {
    return this.#stores.get(formatPartition(partition)) ?? null
  }

  #make(partition: Partition): PartitionStore {
    const found = this.#find(partition)
    if (found !== null) return found
    const store = PartitionStore.open({ ...this.#options, partition, isNew: true })
    this.#stores.set(store.name, store)
    return store
  }
}

/** The mark of the counter of a history. */
export function seqsPath(directory: string): string {
  return join(directory, 'seqs.json')
}
