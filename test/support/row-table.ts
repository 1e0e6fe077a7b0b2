/** Rows of one partition in a table of SQLite: the least that sinks can export from. */
import { createHash } from 'node:crypto'
import type { HistoryRow } from '@claudemesh/protocol'
import BetterSqlite3 from 'better-sqlite3'
import type { Partition, RowSource, SeqRange } from '../../packages/sinks/src/index.ts'

export class RowTable implements RowSource {
  readonly #db: BetterSqlite3.Database
  readonly #partition: Partition
  #newest: number
  #lost: number[] = []
  /** Rows that were read since somebody last looked. */
  rowsRead = 0
  readonly acknowledged = new Map<string, number>()

  constructor(o: { readonly path?: string; readonly partition?: Partition } = {}) {
    this.#partition = o.partition ?? { dataset: 'messages', source: 'mesh=home' }
    this.#db = new BetterSqlite3(o.path ?? ':memory:')
    this.#db.exec('CREATE TABLE IF NOT EXISTS line (seq INTEGER UNIQUE, row TEXT NOT NULL) STRICT')
    this.#newest = Number(this.#db.prepare('SELECT coalesce(max(seq), 0) FROM line').pluck().get())
  }

  partitions(): readonly Partition[] {
    return [this.#partition]
  }

  newestSeq(): number {
    return this.#newest
  }

  async *readRows(_: Partition, { since, until }: SeqRange): AsyncIterable<{ row: HistoryRow }> {
    const select = this.#db.prepare<[number, number, number], string>(
      'SELECT row FROM line WHERE (? = 0 AND seq IS NULL) OR (seq > ? AND seq <= ?) ORDER BY seq',
    )
    for (const line of select.pluck().all(since, since, until)) {
      this.rowsRead += 1
      yield { row: JSON.parse(String(line)) }
    }
  }

  lost(_: Partition, since: number, until: number): { rows: number } {
    return { rows: this.#lost.filter((seq) => seq > since && seq <= until).length }
  }

  acknowledge(sink: string, _: Partition, seq: number): void {
    this.acknowledged.set(sink, seq)
  }

  /** Adds rows; without a seq when it is said so. */
  append(count: number, o: { readonly body?: string; readonly sequenced?: false } = {}): void {
    const insert = this.#db.prepare('INSERT INTO line (seq, row) VALUES (?, ?)')
    this.#db.transaction(() => {
      for (let added = 0; added < count; added += 1) {
        const seq = o.sequenced === false ? null : ++this.#newest
        insert.run(seq, JSON.stringify(sampleRow(seq, o.body ?? `message ${seq ?? `of old, ${added}`}`)))
      }
    })()
  }

  /** Deletes rows up to a seq; those that no sink had are lost. */
  prune(upTo: number): void {
    const had = Math.min(...this.acknowledged.values())
    const gone = this.#db.prepare<[number], number>('DELETE FROM line WHERE seq <= ? RETURNING seq').pluck().all(upTo)
    this.#lost.push(...gone.map(Number).filter((seq) => seq > had))
  }
}

function sampleRow(seq: number | null, body: string): HistoryRow {
  return {
    ...{
      seq,
      partition: 'messages/mesh=home',
      direction: 'received',
      mesh: 'home',
      at: 1_767_225_600_000 + (seq ?? 0),
    },
    ...{ sender: 'a'.repeat(64), destination: '#deploys', client_message_id: `build-${seq}`, broker_message_id: null },
    ...{ history_id: null, body, meta: { branch: 'main', tries: 1 }, state: 'delivered' },
    row_id: createHash('sha256').update(`${seq} ${body}`).digest('hex'),
  }
}
