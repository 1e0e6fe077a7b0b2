/**
 * The spaces of this daemon (07): logs of decisions in one repository of git, which it may share with other processes.
 *
 * 1. The repository is opened when it is first needed: a daemon without decisions runs no git.
 * 2. `append` is the one way in for decisions, whoever asks: a space is there before anything is decided in it.
 * 3. What keeps the repository from opening is told to whoever asks for it and in `/v1/health`; messages flow as without it.
 */
import { existsSync } from 'node:fs'
import type {
  AppendOptions,
  DecisionDraft,
  DecisionEvent,
  Lease,
  SharedDecisionLog,
  Space,
} from '@claudemesh/decisions'
import { type DaemonPaths, MeshError } from '@claudemesh/protocol'
import { ensurePrivateDirectory } from '@claudemesh/storage'
import { spacesCloseMsMax, spacesReopenMs } from '../limits.ts'
import type { Log } from '../log.ts'
import { OnDemand } from '../on-demand.ts'
import type { Runtime } from '../runtime.ts'
import type { SpaceConfig } from '../space-settings.ts'

export interface SpacesOptions {
  readonly paths: DaemonPaths
  readonly config: SpaceConfig
  /** Member id of this daemon, of which only one runs: it finds its leases again after a crash. */
  readonly selfId: string
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
  #failure: MeshError | null = null

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

  /**
   * Decides, all of it or nothing; kept when fulfilled. The same intent again gives the same events.
   *
   * @throws MeshError `space_unknown`, and what `SharedDecisionLog.append` throws
   */
  async append(space: string, drafts: readonly DecisionDraft[], o: AppendOptions): Promise<readonly DecisionEvent[]> {
    const { log } = await this.#opened.get()
    await this.#assertThere(log, space)
    return log.append(space, drafts, o)
  }

  /**
   * Makes a space in which nothing is decided yet.
   *
   * @returns whether it was not there before
   * @throws MeshError `invalid_space`, and what `Leases.acquire` throws
   */
  async create(space: string): Promise<boolean> {
    const { log } = await this.#opened.get()
    if (await this.#isThere(log, space)) return false
    // Nobody decides without a lease: where there was one, there is a space.
    await log.acquire(space)
    this.#known.add(space)
    return true
  }

  /** The names of all spaces, in order. */
  async names(): Promise<readonly string[]> {
    if (!this.isFounded) return []
    const { log } = await this.#opened.get()
    const [decided, leased] = await Promise.all([log.spaces(), log.log.leases.spaces()])
    return [...new Set([...decided, ...leased])].sort()
  }

  /** @throws MeshError `invalid_space`, `space_unknown` */
  async statusOf(space: string): Promise<SpaceStatus> {
    const { log } = await this.#opened.get()
    await this.#assertThere(log, space)
    const lease = await log.log.leases.read(space)
    const leaseStatus =
      lease === null ? null : { ...lease, isHeld: log.log.leases.isHeld(lease), isOwn: log.holds(space) }
    try {
      const { seq, oid } = await log.head(space)
      return { space, seq, head: oid, lease: leaseStatus, damage: null }
    } catch (error) {
      if (!(error instanceof MeshError) || !isDamage(error)) throw error
      return { space, seq: 0, head: null, lease: leaseStatus, damage: error }
    }
  }

  /**
   * Does something with the log of a space that is there, and what follows from it.
   *
   * @throws MeshError `invalid_space`, `space_unknown`, and what `run` throws
   */
  async within<T>(name: string, run: (space: Space, log: SharedDecisionLog) => T | Promise<T>): Promise<T> {
    const { log, spaceOf } = await this.#opened.get()
    await this.#assertThere(log, name)
    return run(spaceOf(name), log)
  }

  /** Does something with all logs. */
  async use<T>(run: (log: SharedDecisionLog) => Promise<T>): Promise<T> {
    return run((await this.#opened.get()).log)
  }

  /** Gives the leases up, so that nobody has to wait for their end. */
  close(): Promise<void> {
    return this.#opened.close()
  }

  async #assertThere(log: SharedDecisionLog, space: string): Promise<void> {
    if (await this.#isThere(log, space)) return
    throw new MeshError('space_unknown', { detail: `There is no space ${space}.`, data: { space } })
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
    const opened = await SharedDecisionLog.open({ path, objectFormat, termMs, holder: selfId, runtime })
    this.#failure = null
    log.info({ repository: path }, 'spaces_opened')
    const spaces = new Map<string, Space>()
    const spaceOf = (name: string) => {
      const space = spaces.get(name) ?? new Space(name, { log: opened, runtime, close: () => undefined })
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

/** A damaged log is one, too. */
async function hasEvents(log: SharedDecisionLog, space: string): Promise<boolean> {
  try {
    return (await log.head(space)).oid !== null
  } catch (error) {
    if (error instanceof MeshError && isDamage(error)) return true
    throw error
  }
}

function isDamage({ code }: MeshError): boolean {
  return code === 'log_corrupt' || code === 'history_rewritten'
}
