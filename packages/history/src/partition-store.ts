/**
 * One partition: its rows, how far its sources were recorded, and who has exported them.
 *
 * 1. Rows and the cursors that they move are one transaction, and the seqs of the rows are given in it.
 * 2. A row that says what a row says that is there already is not stored again.
 * 3. What `newestSeq` gives is on the disk, and so is everything before it.
 */
import { join } from 'node:path'
import { MeshError } from '@claudemesh/protocol'
import { crashPoint, immediate, isBroken, read, synced, type Tx } from '@claudemesh/storage'
import { createPartition, currentGeneration, removeOthers } from './directory.ts'
import { Generation } from './generation.ts'
import { formatPartition, type Partition } from './partition.ts'
import { type HistoryContent, metaText, rowDigest } from './row.ts'
import type { Seqs } from './seqs.ts'
import {
  type AgedRow,
  type PartitionState,
  readSizes,
  type SinkAcknowledgement,
  type SourceCursor,
} from './statements.ts'

export interface Addition {
  readonly rows: readonly HistoryContent[]
  /** Where the sources of these rows stand behind them. */
  readonly cursors: readonly SourceCursor[]
}

export class PartitionStore {
  readonly partition: Partition
  readonly name: string
  readonly #now: () => number
  #generation: Generation
  #state: PartitionState
  #isDistrusted = false
  /** Known sinks and what each has. */
  readonly #sinks = new Map<string, number>()

  /** Opens a partition, making it when there is none. @throws MeshError `history_damaged`, and as `openDatabase` */
  static open(o: { directory: string; partition: Partition; now: () => number; isNew: boolean }): PartitionStore {
    const directory = join(o.directory, formatPartition(o.partition))
    if (o.isNew) createPartition(directory, o.now)
    const path = currentGeneration(directory)
    removeOthers(path)
    return new PartitionStore(o.partition, Generation.open({ path, now: o.now }), o.now)
  }

  private constructor(partition: Partition, generation: Generation, now: () => number) {
    this.partition = partition
    this.name = formatPartition(partition)
    this.#now = now
    this.#generation = generation
    this.#state = generation.sql.state()
    for (const { name, acknowledgedSeq } of generation.sql.sinks()) this.#sinks.set(name, acknowledgedSeq)
  }

  close(): void {
    this.#generation.close()
  }

  /** Whether the disk failed in a way after which nothing more may be written. */
  get broken(): boolean {
    return this.#isDistrusted || isBroken(this.#generation.db)
  }

  /** It is not known which generation is in force on the disk: nothing is added to any. */
  distrust(): void {
    this.#isDistrusted = true
  }

  /** The generation in force. A read that takes several turns holds it. */
  get generation(): Generation {
    return this.#generation
  }

  get state(): PartitionState {
    return this.#state
  }

  get sinks(): readonly SinkAcknowledgement[] {
    return [...this.#sinks].map(([name, acknowledgedSeq]) => ({ name, acknowledgedSeq }))
  }

  /** What every known sink has; null when none is known. */
  get acknowledgedByAll(): number | null {
    return this.#sinks.size === 0 ? null : Math.min(...this.#sinks.values())
  }

  cursor(source: string): SourceCursor | null {
    return this.#generation.sql.cursor(source)
  }

  /** @returns how many rows are new @throws MeshError `insufficient_storage`, `storage_failed`; then nothing was added */
  append(seqs: Seqs, { rows, cursors }: Addition): number {
    if (this.#isDistrusted)
      throw new MeshError('storage_failed', { detail: `the disk failed while ${this.name} was compacted` })
    const { db, sql } = this.#generation
    const recordedAt = this.#now()
    const added = immediate(db, (tx) => {
      let count = 0
      for (const content of rows) {
        const key = seqs.next()
        if (!sql.insert(this.#toRecord(content, key, recordedAt))) continue
        seqs.took(key)
        count += 1
      }
      for (const cursor of cursors) sql.saveCursor(cursor)
      if (count > 0) this.#saveState(tx, { newestSeq: seqs.last })
      crashPoint('history.append.before_commit')
      return count
    })
    crashPoint('history.append.committed')
    return added
  }

  /**
   * Takes in rows that were recorded before there was this counter. They get no seq, come before all others, and are
   * exported once, by the first export: a seq of theirs is passed over, so that there is something to acknowledge.
   *
   * @returns how many are new
   */
  adopt(seqs: Seqs, rows: readonly HistoryContent[]): number {
    const { db, sql } = this.#generation
    const recordedAt = this.#now()
    return immediate(db, (tx) => {
      let key = Math.min(sql.oldestKey() ?? 0, 0) - rows.length
      const first = key
      for (const content of rows) if (sql.insert(this.#toRecord(content, key, recordedAt))) key += 1
      if (key > first && this.#state.newestSeq === 0) {
        const seq = seqs.next()
        seqs.took(seq)
        this.#saveState(tx, { newestSeq: seq })
      }
      return key - first
    })
  }

  /**
   * Goes on behind `seq` and at the cursors: what lies between was recorded, and exported, before the files were
   * replaced by older ones or lost their end.
   */
  passOver(seq: number, cursors: readonly SourceCursor[]): void {
    const { db, sql } = this.#generation
    synced(db, (tx) => {
      for (const cursor of cursors) sql.saveCursor(cursor)
      this.#saveState(tx, { newestSeq: seq, promisedSeq: seq })
    })
  }

  /** The seq of the newest row there ever was. @throws MeshError `insufficient_storage`, `storage_failed` */
  newestSeq(): number {
    const { newestSeq, promisedSeq } = this.#state
    if (newestSeq > promisedSeq) {
      synced(this.#generation.db, (tx) => this.#saveState(tx, { promisedSeq: newestSeq }))
      crashPoint('history.promise.committed')
    }
    return newestSeq
  }

  lost(since: number, until: number): number {
    const { db, sql } = this.#generation
    return read(db, () => sql.lost(since, until))
  }

  acknowledged(sink: string): number | null {
    return this.#sinks.get(sink) ?? null
  }

  acknowledge(sink: string, seq: number): void {
    if (seq === this.acknowledged(sink)) return
    const { db, sql } = this.#generation
    immediate(db, (tx) => {
      sql.acknowledge({ name: sink, acknowledgedSeq: seq })
      // What it has was here once.
      if (seq > this.#state.newestSeq) this.#saveState(tx, { newestSeq: seq })
      crashPoint('history.acknowledge.before_commit')
      tx.afterCommit(() => void this.#sinks.set(sink, seq))
    })
    this.#forgetLost()
  }

  forgetSink(sink: string): void {
    if (!this.#sinks.has(sink)) return
    const { db, sql } = this.#generation
    immediate(db, (tx) => {
      sql.forgetSink(sink)
      tx.afterCommit(() => void this.#sinks.delete(sink))
    })
  }

  /** What retention decides from: the oldest rows, and what all of them take. */
  front(rows: number): { readonly oldest: readonly AgedRow[]; readonly usedBytes: number } {
    const { db, sql } = this.#generation
    return read(db, () => ({ oldest: sql.oldest(rows), usedBytes: readSizes(db).usedBytes }))
  }

  /** Deletes the oldest rows up to a key. @returns how many, and how many of them no sink will get */
  removeThrough(key: number): { readonly rows: number; readonly lost: number } {
    const { db, sql } = this.#generation
    const acknowledged = this.acknowledgedByAll
    const removed = immediate(db, (tx) => {
      const lost =
        acknowledged === null || key <= acknowledged ? 0 : sql.noteLost({ after: acknowledged, through: key })
      const rows = sql.removeThrough(key)
      this.#saveState(tx, { prunedRows: this.#state.prunedRows + rows })
      crashPoint('history.prune.before_commit')
      return { rows, lost }
    })
    crashPoint('history.prune.committed')
    return removed
  }

  /** Puts another generation, which holds the same, in the place of this one. */
  swap(generation: Generation): void {
    this.#generation.retire()
    this.#generation = generation
    this.#state = generation.sql.state()
  }

  /** What is lost is told to whoever asks for the range that it was in, until nobody does. */
  #forgetLost(): void {
    const { db, sql } = this.#generation
    const acknowledged = this.acknowledgedByAll
    if (acknowledged === null || sql.lost(0, acknowledged) === 0) return
    immediate(db, () => sql.forgetLost(acknowledged))
  }

  #saveState(tx: Tx, changed: Partial<PartitionState>): void {
    const state = { ...this.#state, ...changed }
    this.#generation.sql.saveState(state)
    tx.afterCommit(() => {
      this.#state = state
    })
  }

  #toRecord({ meta, body, ...texts }: HistoryContent, key: number, recordedAt: number) {
    // A database holds well-formed text alone, and the digest is over what it holds.
    const content = { ...texts, body: body?.toWellFormed() ?? null, meta: metaText(meta) }
    return { ...content, key, row_id: rowDigest(this.name, content), recorded_at: recordedAt }
  }
}
