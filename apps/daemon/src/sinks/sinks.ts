/**
 * The sinks of this daemon: opened from the configuration, run by their schedules, and told of in events, health and metrics.
 *
 * 1. What sinks are made of is loaded when there is one: most daemons have none.
 * 2. The history keeps rows for the sinks that are configured, and for no others.
 * 3. Sinks are opened and closed one change after the other, so that nobody finds two of one name.
 */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import type { History } from '@claudemesh/history'
import { type HistoryRow, MeshError } from '@claudemesh/protocol'
import type { ArchivePage, NewSink, Sink, SinkResetRequest } from '@claudemesh/protocol/sinks'
import type { BlobSink, ScheduledSink, SinkEvent } from '@claudemesh/sinks'
import { syncDirectory } from '@claudemesh/storage'
import { type SinkConfig, toSinkConfig } from '../config/sink-settings.ts'
import type { Log } from '../log.ts'
import type { Runtime } from '../runtime.ts'
import type { SinkSections } from './sink-sections.ts'
import { toRunView, toSinkView } from './views.ts'

export interface SinksOptions {
  /** Of the state of all sinks. */
  readonly directory: string
  /** Null when there is no history: then nothing is exported. */
  readonly history: History | null
  readonly sections: SinkSections
  readonly onEvent: (event: SinkEvent) => void
  readonly runtime: Runtime
  readonly log: Log
}

interface OpenSink {
  readonly config: SinkConfig
  readonly scheduled: ScheduledSink
  /** Null: it keeps no objects. */
  readonly blob: BlobSink | null
}

export class Sinks {
  readonly #o: SinksOptions
  readonly #open = new Map<string, OpenSink>()
  /** Done when every change that was begun is. */
  #changing: Promise<unknown> = Promise.resolve()

  constructor(o: SinksOptions) {
    this.#o = o
  }

  /**
   * Takes over what is configured: opens what is new, opens anew what has changed, and closes what is gone, whose state stays
   * where it is. A sink goes on where it was, whatever has changed of it.
   */
  configure(configured: readonly SinkConfig[]): void {
    const { history, log } = this.#o
    void this.#change(async () => {
      for (const [name, { config, scheduled }] of [...this.#open]) {
        if (configured.some((one) => isDeepStrictEqual(one, config))) continue
        this.#open.delete(name)
        await scheduled.close()
        log.info({ sink: name }, 'sink_closed')
      }
      for (const config of configured) if (!this.#open.has(config.name)) await this.#tryToOpen(config)
      try {
        history?.keepSinks(configured.map(({ name }) => name))
      } catch (error) {
        // On a full disk rows are kept for longer than they need be, until the next time.
        if (!(error instanceof MeshError)) throw error
        log.error({ err: error }, 'sinks_not_forgotten')
      }
    })
  }

  /** Ends runs at once; what was not advanced is shipped again by the next start. */
  async close(): Promise<void> {
    await this.#changing
    await Promise.all([...this.#open.values()].map(({ scheduled }) => scheduled.close()))
  }

  /** How each is, without asking anybody. */
  get summaries() {
    return [...this.#open.values()].map(({ scheduled }) => scheduled.summary())
  }

  async list(): Promise<Sink[]> {
    await this.#changing
    return await Promise.all([...this.#open.values()].map(view))
  }

  async get(name: string): Promise<Sink> {
    return await view(await this.#find(name))
  }

  /** @throws MeshError `sink_exists`, `config_invalid` when its parts do not go together */
  async add({ name, ...keys }: NewSink): Promise<Sink> {
    const config = toSinkConfig(name, new Map(Object.entries(keys)) as Parameters<typeof toSinkConfig>[1])
    if (typeof config === 'string') throw new MeshError('invalid_request', { detail: `The sink ${name}: ${config}` })
    await this.#change(async () => {
      if (this.#open.has(name)) throw new MeshError('sink_exists', { detail: `There is a sink ${name}` })
      this.#o.sections.add(name, keys)
      await this.#openOne(config)
    })
    return await this.get(name)
  }

  /** @throws MeshError `sink_unknown` */
  async remove(name: string): Promise<void> {
    await this.#change(async () => {
      const { scheduled } = this.#get(name)
      this.#o.sections.remove(name)
      await scheduled.close()
      this.#open.delete(name)
      rmSync(join(this.#o.directory, name), { recursive: true, force: true })
      syncDirectory(this.#o.directory)
      this.#o.history?.keepSinks([...this.#open.keys()])
    })
  }

  async run(name: string) {
    return toRunView(await (await this.#find(name)).scheduled.run())
  }

  async pause(name: string): Promise<Sink> {
    const sink = await this.#find(name)
    await sink.scheduled.pause()
    return await view(sink)
  }

  async resume(name: string): Promise<Sink> {
    const sink = await this.#find(name)
    sink.scheduled.resume()
    return await view(sink)
  }

  /** @throws MeshError `invalid_request`, `sink_not_listable`, `sink_unavailable` */
  async reset(name: string, { partition, to, from_destination: fromDestination }: SinkResetRequest) {
    const { scheduled } = await this.#find(name)
    if ((to === undefined) === (fromDestination === undefined)) {
      throw new MeshError('invalid_request', { detail: 'The body names one of `to` and `from_destination`' })
    }
    const all = scheduled.partitions().map((found) => ({ found, name: `${found.dataset}/${found.source}` }))
    const chosen = all.filter((one) => partition === undefined || one.name === partition)
    if (chosen.length === 0) throw new MeshError('invalid_request', { detail: `The sink does not export ${partition}` })
    const done = []
    for (const one of chosen)
      done.push({ partition: one.name, acked: await scheduled.reset(one.found, to ?? 'from-destination') })
    return done
  }

  /** A page of what a sink has exported as objects. @throws MeshError `sink_not_listable`, `sink_unavailable` */
  async exportedRows(
    name: string,
    o: { readonly partition: string; readonly after: number; readonly limit: number },
  ): Promise<ArchivePage> {
    const { blob } = await this.#find(name)
    if (blob === null) throw new MeshError('sink_not_listable', { detail: `What ${name} has sent is at its receiver` })
    const [dataset = '', source = ''] = o.partition.split('/')
    const range = { since: o.after, until: Number.MAX_SAFE_INTEGER }
    const rows: HistoryRow[] = []
    for await (const row of blob.readRows({ dataset, source }, range)) {
      rows.push(row)
      if (rows.length === o.limit) return { rows, next: String(row.seq) }
    }
    return { rows, next: null }
  }

  async #find(name: string): Promise<OpenSink> {
    await this.#changing
    return this.#get(name)
  }

  #get(name: string): OpenSink {
    const found = this.#open.get(name)
    if (found === undefined) throw new MeshError('sink_unknown', { detail: `There is no sink ${name}` })
    return found
  }

  #change(work: () => Promise<void>): Promise<void> {
    const done = this.#changing.then(work)
    // Whoever asked for it is told.
    this.#changing = done.catch(() => undefined)
    return done
  }

  async #tryToOpen(config: SinkConfig): Promise<void> {
    try {
      await this.#openOne(config)
    } catch (error) {
      // The others go on; its record says what is wrong with it.
      this.#o.log.error({ sink: config.name, err: error }, 'sink_not_opened')
    }
  }

  async #openOne(config: SinkConfig): Promise<void> {
    const { history, directory, runtime, onEvent } = this.#o
    if (history === null) throw new MeshError('storage_unavailable', { detail: 'There is no history to export' })
    const { BlobSink, openSink, parseSchedule, ScheduledSink, systemRuntime } = await import('@claudemesh/sinks')
    const { now, random, nextId } = runtime
    const own = { ...systemRuntime(), now, random, nextId }
    const schedule = parseSchedule(config.schedule)
    if (schedule === null) throw new Error('the configuration was checked')
    const sink = openSink(config.settings, own)
    const { name, datasets, jitterMsMax } = config
    const scheduled = new ScheduledSink({
      ...{ name, datasets, jitterMsMax, schedule, sink, source: history, runtime: own, onEvent },
      directory: join(directory, name),
    })
    this.#open.set(name, { config, scheduled, blob: sink instanceof BlobSink ? sink : null })
    scheduled.start()
    this.#o.log.info({ sink: name }, 'sink_opened')
  }
}

async function view({ config, scheduled }: OpenSink): Promise<Sink> {
  return toSinkView(config, await scheduled.status())
}
