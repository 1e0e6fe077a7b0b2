/** A history in a directory of its own, with a clock and a retention that the test sets. */
import { join } from 'node:path'
import {
  type Exported,
  History,
  type HistoryContent,
  type Partition,
  type Pruned,
  type ReadOptions,
  type Retention,
} from '@claudemesh/history'
import type { HistoryRow } from '@claudemesh/protocol'
import { scratchDirectory } from '../support/scratch-directory.ts'

export const messages: Partition = { dataset: 'messages', source: 'mesh=home' }
export const events: Partition = { dataset: 'events', source: 'mesh=home' }

export const keepAll: Retention = {
  ageMsMax: null,
  bytesMax: null,
  waitForSinkAck: true,
  capAgeMs: null,
  capBytes: null,
}

/** The n-th of rows that differ in nothing else. */
export function rowOf(n: number, fields: Partial<HistoryContent> = {}): HistoryContent {
  return {
    direction: 'sent',
    mesh: 'home',
    at: 1_700_000_000_000 + n,
    sender: 'a'.repeat(64),
    destination: '#deploys',
    client_message_id: `row-${n}`,
    broker_message_id: null,
    history_id: null,
    body: `body ${n}`,
    meta: { n },
    state: 'queued',
    ...fields,
  }
}

export class HistoryUnderTest {
  readonly directory: string
  now = 1_700_000_000_000
  retention = keepAll
  /** Partitions of which it was told that rows go before every sink has them. */
  readonly losing: string[] = []
  readonly #exported: readonly Exported[]
  history: History

  constructor(directory = join(scratchDirectory(), 'history'), exported: readonly Exported[] = []) {
    this.directory = directory
    this.#exported = exported
    this.history = this.#open()
  }

  /** Ends without any goodbye of the counter or the databases, as far as one process can, and starts again. */
  reopen(): void {
    this.history.close()
    this.history = this.#open()
  }

  add(from: number, to: number, partition = messages): void {
    const rows = Array.from({ length: to - from + 1 }, (_, index) => rowOf(from + index))
    this.history.append(partition, { rows, cursors: [{ source: 'test', generation: 'g', position: to }] })
  }

  prune(): Promise<readonly Pruned[]> {
    return this.history.prune(this.now)
  }

  async read(options: ReadOptions<keyof HistoryRow> = {}, partition = messages): Promise<HistoryRow[]> {
    const rows: HistoryRow[] = []
    for await (const { row } of this.history.readRows(partition, options)) rows.push(row)
    return rows
  }

  /** The numbers of the rows that are there. */
  async numbers(options: ReadOptions<keyof HistoryRow> = {}, partition = messages): Promise<number[]> {
    return (await this.read(options, partition)).map((row) => Number(row.meta?.['n']))
  }

  #open(): History {
    return History.open({
      directory: this.directory,
      now: () => this.now,
      retentionOf: () => this.retention,
      losing: (partition) => this.losing.push(partition.dataset),
      exported: this.#exported,
    })
  }
}

/** Whole numbers from one to another. */
export function range(from: number, to: number): number[] {
  return Array.from({ length: Math.max(0, to - from + 1) }, (_, index) => from + index)
}
