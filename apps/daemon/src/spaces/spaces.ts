/**
 * The spaces of this daemon (07): logs of decisions in one repository of git, which it may share with other processes.
 *
 * 1. The repository is opened when it is first needed: a daemon without decisions runs no git.
 * 2. `append` is the one way in for decisions, whoever asks: a space is there before anything is decided in it.
 * 3. What was changed here or by another process is a hint to whoever listens; the log is the truth.
 * 4. What keeps the repository from opening is told to whoever asks for it and in `/v1/health`; messages flow as without it.
 */
import { existsSync } from 'node:fs'
import type {
  AppendOptions,
  DecisionDraft,
  DecisionEvent,
  Elsewhere,
  Imported,
  Lease,
  SharedDecisionLog,
  Space,
} from '@claudemesh/decisions'
import { type DaemonPaths, MeshError } from '@claudemesh/protocol'
import { type DiskPressure, ensurePrivateDirectory } from '@claudemesh/storage'
import type { SpaceConfig } from '../config/space-settings.ts'
import type { Log } from '../log.ts'
import { OnDemand } from '../on-demand.ts'
import type { Runtime } from '../runtime.ts'
import { spacesCloseMsMax, spacesReopenMs } from '../space-limits.ts'
import { hasEvents, isDamage } from './reading.ts'

export interface SpacesOptions {
  readonly paths: DaemonPaths
  readonly config: SpaceConfig
  /** Member id of this daemon, of which only one runs: it finds its leases again after a crash. */
  readonly selfId: string
  /** What fills up is not written to; it is still read. */
  readonly diskPressure: () => DiskPressure
  readonly runtime: Runtime
  readonly log: Log
}

/** A space as it is now. */
export interface SpaceStatus {
  readonly space: string
  /** The number of the last decision; 0 when there is none. */
  readonly seq: number
  /** The commit of the last decision; null when there is none. */
  readonly head: string | null
  readonly lease: LeaseStatus | null
  /** Why the log cannot be read to its end, `log_corrupt` or `history_rewritten`; null when it can. */
  readonly damage: MeshError | null
}

/** The last lease of a space, whatever became of it. */
interface LeaseStatus extends Lease {
  readonly isHeld: boolean
  /** Whether it is this daemon's. */
  readonly isOwn: boolean
}

/** The library and what was opened with it. */
interface Opened {
  readonly log: SharedDecisionLog
  /** What follows from each log, folded as far as anybody asked. */
  readonly spaceOf: (name: string) => Space
}

export class Spaces {
  readonly #o: SpacesOptions
  readonly #opened: OnDemand<Opened>
  /** Spaces that were found to be there; none ever goes. */
  readonly #known = new Set<string>()
  readonly #listeners = new Set<() => void>()
  #failure: MeshError | null = null
  #elsewhere: Elsewhere = { has: () => false, append: () => Promise.reject(new MeshError('space_unknown')) }
  #appended = 0

  constructor(o: SpacesOptions) {
    this.#o = o
    this.#opened = new OnDemand({
      open: () => this.#open(),
      close: ({ log }) => log.close(),
      refuse: (cause) => this.#refuse(cause),
      retryMs: spacesReopenMs,
      closeMsMax: spacesCloseMsMax,
      monotonicMs: o.runtime.monotonicMs,
    })
  }

  /** Where the decisions are. */
  get repository(): string {
    return this.#o.config.repository ?? this.#o.paths.spacesRepository
  }

  /** Whether there is a repository already. */
  get isFounded(): boolean {
    return existsSync(this.repository)
  }

  /** `idle`: nobody has needed them. `down`: the repository could not be opened, for `failure`. */
  get status(): 'idle' | 'ok' | 'down' {
    if (this.#failure !== null) return 'down'
    return this.#opened.opened === null ? 'idle' : 'ok'
  }

  get failure(): MeshError | null {
    return this.#failure
  }

  /** How many spaces this daemon appends to now. */
  get leases(): number {
    return this.#opened.opened?.log.leasesHeld ?? 0
  }

  /** Decisions acknowledged since the start. */
  get appended(): number {
    return this.#appended
  }

  /** Has it told of each change that is made through here. */
  onChange(listener: () => void): void {
    this.#listeners.add(listener)
  }

  /**
   * Decides, all of it or nothing; kept when fulfilled. The same intent again gives the same events.
   *
   * @throws MeshError `space_unknown`, `insufficient_storage`, and what `SharedDecisionLog.append` throws
   */
  async append(space: string, drafts: readonly DecisionDraft[], o: AppendOptions): Promise<readonly DecisionEvent[]> {
    const events = await this.within(space, (_, log) =>
      this.#changing(() => {
        return this.#elsewhere.has(space) ? this.#elsewhere.append({ space, drafts, o }) : log.append(space, drafts, o)
      }),
    )
    this.#appended += events.length
    return events
  }

  /** Has what is appended to some spaces decided by somebody else, also where another process appends it. */
  decideElsewhere(elsewhere: Elsewhere): void {
    this.#elsewhere = elsewhere
  }

  /** @throws MeshError `space_shared`: what gets into its log is not decided here alone */
  assertOwn(space: string): void {
    if (this.#elsewhere.has(space)) throw new MeshError('space_shared', { data: { space } })
  }

  /**
   * Makes a space in which nothing is decided yet.
   *
   * @returns whether it was not there before
   * @throws MeshError `invalid_space`, `insufficient_storage`, and what `Leases.acquire` throws
   */
  async create(space: string): Promise<boolean> {
    const { log } = await this.#opened.get()
    if (await this.#isThere(log, space)) return false
    // Nobody decides without a lease: where there was one, there is a space.
    await this.#changing(() => log.acquire(space, { keep: false }))
    this.#known.add(space)
    return true
  }

  /**
   * Takes an export over, into a space that holds nothing or that it continues; one that is not there is made.
   *
   * @throws MeshError `insufficient_storage`, `invalid_request` for nothing at all, what `importJsonl` throws
   */
  async import(space: string, source: AsyncIterable<Uint8Array>): Promise<Imported> {
    this.assertOwn(space)
    const { spaceOf } = await this.#opened.get()
    const imported = await this.#changing(() => spaceOf(space).import(source))
    if (imported.appended + imported.present > 0) return imported
    throw new MeshError('invalid_request', { detail: 'There is no decision in what was to be imported.' })
  }

  /**
   * Takes from another repository what continues the spaces here, and the spaces that are not here.
   *
   * @throws MeshError `insufficient_storage`, what `SharedDecisionLog.pull` throws
   */
  async pull(remote: string, signal: AbortSignal): Promise<Awaited<ReturnType<SharedDecisionLog['pull']>>> {
    const { log } = await this.#opened.get()
    return this.#changing(() => log.pull(remote, signal))
  }

  /** Takes a log as it is, wherever its branch was moved. @throws MeshError `space_unknown`, `storage_failed` */
  acceptHistory(space: string): Promise<void> {
    return this.within(space, (_, { log }) => this.#changing(() => log.acceptHistory(space)))
  }

  /** The names of all spaces, in order. */
  async names(): Promise<readonly string[]> {
    if (!this.isFounded) return []
    const { log } = await this.#opened.get()
    const [decided, leased] = await Promise.all([log.spaces(), log.log.leases.spaces()])
    return [...new Set([...decided, ...leased])].sort()
  }

  /** @throws MeshError `invalid_space`, `space_unknown` */
  statusOf(name: string): Promise<SpaceStatus> {
    return this.within(name, async (_, log) => {
      const lease = await this.#leaseOf(log, name)
      try {
        const { seq, oid } = await log.head(name)
        return { space: name, seq, head: oid, lease, damage: null }
      } catch (error) {
        if (!(error instanceof MeshError) || !isDamage(error)) throw error
        return { space: name, seq: 0, head: null, lease, damage: error }
      }
    })
  }

  /** The last lease of a space, null when there was none. @throws MeshError `invalid_space`, `space_unknown` */
  leaseOf(name: string): Promise<LeaseStatus | null> {
    return this.within(name, (_, log) => this.#leaseOf(log, name))
  }

  /**
   * Does something with the log of a space that is there, and with what follows from it.
   *
   * @throws MeshError `invalid_space`, `space_unknown`, and what `run` throws
   */
  async within<T>(name: string, run: (space: Space, log: SharedDecisionLog) => T | Promise<T>): Promise<T> {
    // To ask for a space makes no repository.
    const opened = this.#opened.opened !== null || this.isFounded ? await this.#opened.get() : null
    if (opened !== null && (await this.#isThere(opened.log, name))) return run(opened.spaceOf(name), opened.log)
    throw new MeshError('space_unknown', { detail: `There is no space ${name}.`, data: { space: name } })
  }

  /** Does something with the repository that all spaces are in. */
  async use<T>(run: (log: SharedDecisionLog) => Promise<T>): Promise<T> {
    return run((await this.#opened.get()).log)
  }

  /** Gives the leases up, so that nobody has to wait for their end. */
  close(): Promise<void> {
    return this.#opened.close()
  }

  async #changing<T>(change: () => Promise<T>): Promise<T> {
    if (this.#o.diskPressure() === 'full') throw new MeshError('insufficient_storage')
    const changed = await change()
    for (const tell of this.#listeners) tell()
    return changed
  }

  async #leaseOf(log: SharedDecisionLog, space: string): Promise<LeaseStatus | null> {
    const lease = await log.log.leases.read(space)
    return lease === null ? null : { ...lease, isHeld: log.log.leases.isHeld(lease), isOwn: log.holds(space) }
  }

  async #isThere(log: SharedDecisionLog, space: string): Promise<boolean> {
    if (this.#known.has(space)) return true
    const isThere = (await log.log.leases.read(space)) !== null || (await hasEvents(log, space))
    if (isThere) this.#known.add(space)
    return isThere
  }

  async #open(): Promise<Opened> {
    const { paths, config, selfId, runtime, log } = this.#o
    // Loaded when it is needed, as it takes memory that a daemon without decisions does not have to spare.
    const { SharedDecisionLog, Space } = await import('@claudemesh/decisions')
    if (config.repository === null) ensurePrivateDirectory(paths.spaces)
    const { repository: path } = this
    const { objectFormat, leaseTermMs: termMs } = config
    const opened = await SharedDecisionLog.open({
      ...{ path, objectFormat, termMs, holder: selfId, runtime },
      elsewhere: {
        has: (space) => this.#elsewhere.has(space),
        append: (append) => this.#elsewhere.append(append),
      },
    })
    this.#failure = null
    log.info({ repository: path }, 'spaces_opened')
    const spaces = new Map<string, Space>()
    const spaceOf = (name: string) => {
      const space =
        spaces.get(name) ??
        new Space(name, { log: opened, states: opened.log.states, runtime, close: async () => undefined })
      spaces.set(name, space)
      return space
    }
    return { log: opened, spaceOf }
  }

  #refuse(cause: unknown): MeshError {
    const error =
      cause instanceof MeshError
        ? cause
        : new MeshError('storage_failed', { detail: 'The repository of decisions cannot be opened', cause })
    this.#failure = error
    this.#o.log.error({ err: cause }, 'spaces_not_opened')
    return error
  }
}
