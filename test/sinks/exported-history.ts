/** A real history with its retention and compaction, and sinks that export it, in a directory of their own. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Retention } from '@claudemesh/history'
import { onTestFinished } from 'vitest'
import {
  type Partition,
  parseSchedule,
  type RowSource,
  ScheduledSink,
  type ScheduledSinkOptions,
  type SeqRange,
  type Sink,
  type SinkEvent,
} from '../../packages/sinks/src/index.ts'
import { HistoryUnderTest, keepAll, messages, rowOf } from '../history/history-under-test.ts'
import { countTo } from '../support/batch-receiver.ts'
import { ManualTime } from '../support/manual-time.ts'
import { memoryDirectory } from '../support/scratch-directory.ts'

const hourMs = 3_600_000

export class ExportedHistory {
  readonly directory = memoryDirectory()
  readonly time = new ManualTime()
  readonly events: SinkEvent[] = []
  readonly #under = new HistoryUnderTest(join(this.directory, 'history'))
  /** Rows that sinks read since a test last set it. */
  rowsRead = 0
  /** Rows that were ever added. */
  added = 0

  constructor() {
    this.#under.now = this.time.now()
    onTestFinished(() => this.#under.history.close())
  }

  get history() {
    return this.#under.history
  }

  /** Adds rows that are numbered on, an hour after the ones before. */
  add(count: number, body?: string): void {
    this.#under.now += hourMs
    if (body === undefined) this.#under.add(this.added + 1, this.added + count)
    else this.#addBodies(count, body)
    this.added += count
  }

  /** Deletes what was added before the last time, whether sinks have it or not; or by another retention. */
  async prune(retention: Retention = { ...keepAll, ageMsMax: hourMs / 2, capAgeMs: hourMs / 2 }): Promise<number> {
    this.#under.retention = retention
    // What was added in this instant is past its time as well.
    this.#under.now += 1
    const [pruned] = await this.#under.prune()
    return pruned?.rows ?? 0
  }

  /** @returns the names of the generation before and after it */
  async compact(): Promise<readonly [string, string]> {
    const current = () => readFileSync(join(this.directory, 'history/messages/mesh=home/current'), 'utf8').trim()
    const before = current()
    await this.history.compact(messages)
    return [before, current()]
  }

  /** Where the state of a sink is. */
  stateOf(name: string): string {
    return join(this.directory, 'sinks', name)
  }

  /** Opens a sink; twice under one name when the first was closed. */
  open(sink: Sink, o: Partial<ScheduledSinkOptions> = {}): ScheduledSink {
    const name = o.name ?? 'collector'
    const schedule = parseSchedule('0 0 1 1 *')
    if (schedule === null) throw new Error('no schedule')
    const opened = new ScheduledSink({
      ...{ name, directory: this.stateOf(name), sink, source: this.#counted(), schedule, datasets: null },
      ...{ jitterMsMax: 0, runtime: this.time, onEvent: (event) => this.events.push(event) },
      ...o,
    })
    onTestFinished(() => opened.close())
    return opened
  }

  #addBodies(count: number, body: string): void {
    const rows = countTo(this.added + count, this.added + 1).map((n) => rowOf(n, { body }))
    this.history.append(messages, { rows, cursors: [] })
  }

  #counted(): RowSource {
    const { history } = this
    const count = () => {
      this.rowsRead += 1
    }
    return {
      partitions: () => history.partitions(),
      newestSeq: (partition) => history.newestSeq(partition),
      lost: (partition, since, until) => history.lost(partition, since, until),
      acknowledge: (sink, partition, seq) => history.acknowledge(sink, partition, seq),
      acknowledged: (sink, partition) => history.acknowledged(sink, partition),
      async *readRows(partition: Partition, range: SeqRange) {
        for await (const found of history.readRows(partition, range)) {
          count()
          yield found
        }
      },
    }
  }
}
