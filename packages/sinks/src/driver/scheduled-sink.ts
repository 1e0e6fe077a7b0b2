/**
 * One sink at work: it runs on its schedule, one run at a time, and what could not be exported comes back by itself (08 §3).
 *
 * 1. A run takes every partition up to its newest row; a failure of one does not keep the others.
 * 2. A partition that failed is in the respool, on the disk, and is tried again when its time has come. What is shipped then
 *    is the intent that is on the disk: the same chunks under the same ids.
 * 3. A watermark that is lost or damaged stops the whole sink, until it is mended or reset.
 * 4. A run that was missed, since nothing ran at that time, is made up for.
 */
import { MeshError } from '@claudemesh/protocol'
import { exportPartition } from '../export-partition.ts'
import { formatPartition, type Partition, type RowSource } from '../row-source.ts'
import type { Runtime } from '../runtime.ts'
import type { Sink } from '../sink.ts'
import { acknowledge } from './acknowledge.ts'
import { respoolAfter } from './respool.ts'
import type { Schedule } from './schedule.ts'
import type { SinkEvent, UnnamedSinkEvent } from './sink-event.ts'
import type { SinkRecord } from './sink-record.ts'
import { SinkState } from './sink-state.ts'
import { countBehind, type SinkStatus, type SinkSummary, type StatusParts, statusOf, summaryOf } from './sink-status.ts'

export interface ScheduledSinkOptions {
  readonly name: string
  /** Of its state; made when there is none. */
  readonly directory: string
  readonly sink: Sink
  readonly source: RowSource
  readonly schedule: Schedule
  /** Datasets to export; null: all. */
  readonly datasets: readonly string[] | null
  /** A run begins up to so much later than the schedule says, so that many hosts do not begin at once. */
  readonly jitterMsMax: number
  readonly runtime: Runtime
  readonly onEvent: (event: SinkEvent) => void
}

export type SinkRun = NonNullable<SinkRecord['last_run']>

/** The clock of the host may step while a sink waits: it looks again at least so often. */
const lookMsMax = 60_000

export class ScheduledSink {
  readonly #o: ScheduledSinkOptions
  readonly #state: SinkState
  readonly #closing = new AbortController()
  /** Ended by what changes when the next run is. */
  #wait = new AbortController()
  #run: { readonly done: Promise<SinkRun>; readonly abort: AbortController } | null = null
  #lastRun: SinkRun | null
  /** By the schedule; null: never. */
  #nextAt: number | null
  #stopped: MeshError | null = null

  /** @throws MeshError `insufficient_storage`, `storage_failed`, `unsafe_permissions` */
  constructor(o: ScheduledSinkOptions) {
    this.#o = o
    this.#state = SinkState.open({ directory: o.directory, nextId: o.runtime.nextId })
    this.#lastRun = this.#state.record.last_run
    this.#nextAt = this.#scheduled(this.#lastRun?.started_at ?? o.runtime.now())
    // What is on its way must be kept for this sink from the first moment on.
    this.#look()
  }

  /** Goes by the schedule from here on. */
  start(): void {
    void this.#goOn()
  }

  /**
   * Exports everything there is now, also what would wait for its retry. A run that is under way is joined.
   *
   * @throws MeshError `sink_stopped`; failures of partitions are in what it returns
   */
  async run(): Promise<SinkRun> {
    this.#assertOpen()
    this.#run ??= this.#begin({ everything: true })
    return await this.#run.done
  }

  /** Ends the run under way, and runs no more by the schedule, also after a restart. */
  async pause(): Promise<void> {
    this.#assertOpen()
    this.#state.change({ paused: true })
    await this.#endRun()
    this.#wake()
  }

  resume(): void {
    this.#assertOpen()
    this.#state.change({ paused: false })
    this.#wake()
  }

  /**
   * Goes on behind `to`, or behind what the destination says that it has, whatever is known here.
   *
   * @throws MeshError as `Sink.lastExported`, and as writing does
   */
  async reset(partition: Partition, to: number | 'from-destination'): Promise<number> {
    await this.#endRun()
    const { sink, runtime, source, name } = this.#o
    const seq = to === 'from-destination' ? ((await sink.lastExported(partition)) ?? 0) : to
    this.#assertOpen()
    this.#state.reset(partition, { to: seq, at: runtime.now() })
    source.acknowledge(name, partition, seq)
    this.#look()
    this.#wake()
    return seq
  }

  /** The partitions that it exports, and those that it has exported. */
  partitions(): readonly Partition[] {
    const { source, datasets } = this.#o
    const all = [...source.partitions(), ...this.#state.record.partitions]
    const wanted = all.filter(({ dataset }) => datasets === null || datasets.includes(dataset))
    const named = new Map(wanted.map(({ dataset, source: from }) => [`${dataset}/${from}`, { dataset, source: from }]))
    return [...named.values()]
  }

  async status(): Promise<SinkStatus> {
    const isGoing = !this.#state.record.paused && this.#stopped === null
    const nextRunAt = isGoing ? this.#dueAt() : null
    return await statusOf({ ...this.#about(), now: this.#o.runtime.now(), lastRun: this.#lastRun, nextRunAt })
  }

  /** What is known of it, and by `behind` rows that wait, at most; NaN when the store cannot tell. */
  summary(): SinkSummary & { readonly behind: () => number } {
    const about = this.#about()
    return { ...summaryOf(about), behind: () => countBehind(about) }
  }

  /** Ends the run under way at once; what was not advanced is shipped again by the next start. */
  async close(): Promise<void> {
    this.#closing.abort(new MeshError('shutting_down'))
    await this.#endRun()
    await this.#o.sink.close()
  }

  /** Its state may be another one's by now, who goes on with it. */
  #assertOpen(): void {
    this.#closing.signal.throwIfAborted()
  }

  #about(): StatusParts {
    const { name, source } = this.#o
    const phase = this.#state.record.paused ? 'paused' : this.#run === null ? 'waiting' : 'running'
    return {
      ...{ name, source, state: this.#state, partitions: this.partitions() },
      phase: this.#stopped === null ? phase : 'stopped',
      stopped: this.#stopped?.message ?? null,
    }
  }

  /** Looks at every watermark, and tells the store how far each is: of a new partition too, from the first look on. */
  #look(): void {
    const { source, name } = this.#o
    const before = this.#stopped
    try {
      for (const partition of this.partitions()) acknowledge(partition, { name, source, state: this.#state })
      this.#stopped = null
    } catch (error) {
      if (!(error instanceof MeshError) || error.code !== 'sink_stopped') throw error
      this.#stopped = error
      if (before === null) this.#tell({ type: 'stopped', error })
    }
  }

  async #goOn(): Promise<void> {
    const { runtime } = this.#o
    while (!this.#closing.signal.aborted) {
      const dueAt = this.#dueAt()
      if (dueAt !== null && dueAt <= runtime.now()) {
        this.#run ??= this.#begin({ everything: false })
        // Its failure is told where it is met, and in the status.
        await this.#run.done.catch(() => undefined)
        continue
      }
      this.#keep(() => this.#look())
      const ms = Math.min(lookMsMax, dueAt === null ? lookMsMax : dueAt - runtime.now())
      await runtime.sleep(ms, AbortSignal.any([this.#closing.signal, this.#wait.signal])).catch(() => undefined)
      if (this.#wait.signal.aborted) this.#wait = new AbortController()
    }
  }

  #dueAt(): number | null {
    const { paused, partitions } = this.#state.record
    if (paused) return null
    return earliest([this.#nextAt, ...partitions.map(({ respool }) => respool?.retry_at ?? null)])
  }

  #begin(o: { readonly everything: boolean }): { readonly done: Promise<SinkRun>; readonly abort: AbortController } {
    const abort = new AbortController()
    const done = this.#exportAll(o.everything, abort.signal).finally(() => {
      this.#run = null
    })
    return { done, abort }
  }

  async #endRun(): Promise<void> {
    const run = this.#run
    run?.abort.abort(new MeshError('shutting_down', { detail: 'The run was ended' }))
    await run?.done.catch(() => undefined)
  }

  async #exportAll(everything: boolean, signal: AbortSignal): Promise<SinkRun> {
    const startedAt = this.#o.runtime.now()
    const total = { rows: 0, lost: 0, error: null as string | null }
    try {
      this.#look()
      if (this.#stopped !== null) throw this.#stopped
      for (const partition of this.partitions()) {
        const retryAt = this.#state.respool(partition)?.retry_at ?? 0
        if (!everything && retryAt > this.#o.runtime.now()) continue
        const { rows, lost, error } = await this.#exportOne(partition, signal)
        total.rows += rows
        total.lost += lost
        total.error ??= error
      }
    } catch (error) {
      total.error = sentence(error)
      throw error
    } finally {
      this.#note({ started_at: startedAt, ended_at: this.#o.runtime.now(), ...total })
    }
    return this.#lastRun as SinkRun
  }

  async #exportOne(partition: Partition, signal: AbortSignal) {
    const { name, sink, source, runtime } = this.#o
    const at = formatPartition(partition)
    try {
      const watermark = this.#state.begin(partition, runtime.now())
      const file = this.#state.watermarkFile(partition)
      const id = this.#state.record.id
      const done = await exportPartition({ name, id, sink, source, partition, file, runtime }, watermark, signal)
      if (this.#state.respool(partition) !== null) this.#tell({ type: 'recovered', partition: at })
      this.#state.setRespool(partition, null)
      if (done.rows > 0) this.#tell({ type: 'exported', partition: at, rows: done.rows })
      if (done.lost > 0) this.#tell({ type: 'lost', partition: at, rows: done.lost })
      return { ...done, error: null }
    } catch (error) {
      signal.throwIfAborted()
      this.#fail(partition, error)
      return { rows: 0, lost: 0, error: `${at}: ${sentence(error)}` }
    }
  }

  #fail(partition: Partition, error: unknown): void {
    const { runtime } = this.#o
    const retryAfterMs = error instanceof MeshError ? Number(error.data['retry_after_ms'] ?? 0) : 0
    const about = { now: runtime.now(), random: runtime.random(), retryAfterMs, error: sentence(error) }
    const respool = respoolAfter(this.#state.respool(partition), about)
    this.#tell({ type: 'failed', partition: formatPartition(partition), failures: respool.failures, error })
    this.#keep(() => this.#state.setRespool(partition, respool))
  }

  /** A run that did nothing is not written down: nothing new is nothing to do. */
  #note(run: SinkRun): void {
    const isNews = run.rows > 0 || run.lost > 0 || run.error !== (this.#lastRun?.error ?? null)
    this.#lastRun = run
    this.#nextAt = this.#scheduled(this.#o.runtime.now())
    if (isNews) this.#keep(() => this.#state.change({ last_run: run }))
  }

  /** What only makes the next start wiser may fail: a full disk is told of by the export itself. */
  #keep(write: () => void): void {
    try {
      write()
    } catch (error) {
      if (!(error instanceof MeshError)) throw error
    }
  }

  #scheduled(after: number): number | null {
    const { schedule, runtime, jitterMsMax } = this.#o
    const at = schedule.next(after)
    return at === null ? null : at + Math.floor(runtime.random() * jitterMsMax)
  }

  #wake(): void {
    this.#wait.abort()
  }

  #tell(event: UnnamedSinkEvent): void {
    this.#o.onEvent({ ...event, sink: this.#o.name })
  }
}

function earliest(times: readonly (number | null)[]): number | null {
  const known = times.filter((time) => time !== null)
  return known.length === 0 ? null : Math.min(...known)
}

function sentence(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
