/** One space as a program uses it: decide, and ask what holds. */
import { type JsonValue, MeshError, type SpaceState } from '@claudemesh/protocol'
import type { DecisionLog } from './decision-log.ts'
import { checkSpaceName, type DecisionDraft, type DecisionEvent } from './event.ts'
import { Fold } from './fold.ts'
import { GitDecisionLog } from './git/git-decision-log.ts'
import { snapshotEvery } from './git/snapshots/snapshots.ts'
import type { FoldedStates } from './git/snapshots/states.ts'
import { exportJsonl, type Imported, importJsonl } from './jsonl.ts'
import { MemoryDecisionLog } from './memory-decision-log.ts'
import { memberOf, type Reasons, resolveName, stateAt, why } from './questions.ts'
import { type Runtime, systemRuntime } from './runtime.ts'

export interface OpenSpaceOptions {
  /** Its name: 1 to 64 of a-z, 0-9 and -, not beginning with -. */
  readonly space: string
  /** A repository of git, made when it is not there. Absent: in memory, for as long as the process lasts. */
  readonly repository?: string
  readonly runtime?: Runtime
}

/**
 * Opens a space, over git where a repository is given.
 *
 * @example
 * const space = await openSpace({ space: 'plans', repository: 'decisions.git' })
 * await space.decide([{ kind: 'state', actor: 'ada', payload: { key: 'db', value: 'sqlite' } }])
 * await space.get('db') // 'sqlite'
 *
 * @throws MeshError `invalid_space`; with a repository `git_missing`, `git_too_old`, `not_a_repository`,
 *   `insufficient_storage`, `storage_failed`
 */
export async function openSpace(o: OpenSpaceOptions): Promise<Space> {
  checkSpaceName(o.space)
  const runtime = o.runtime ?? systemRuntime()
  if (o.repository === undefined) {
    return new Space(o.space, {
      log: new MemoryDecisionLog(runtime),
      states: null,
      runtime,
      close: async () => undefined,
    })
  }
  const log = await GitDecisionLog.open({ path: o.repository, runtime })
  return new Space(o.space, { log, states: log.states, runtime, close: () => log.close() })
}

interface SpaceParts {
  readonly log: DecisionLog
  /** Where a fold is kept to go on from; null: nowhere. */
  readonly states: FoldedStates | null
  readonly runtime: Runtime
  readonly close: () => Promise<void>
}

/**
 * A space and what follows from its log, folded as far as anybody asked.
 *
 * Every question reads the end of the log first: what was acknowledged to any process is in the answer.
 */
export class Space {
  readonly name: string
  readonly #parts: SpaceParts
  #fold = new Fold()
  /** The last event that was folded. */
  #last: DecisionEvent | null = null
  /** As far as the fold was kept. */
  #kept = 0
  #turn: Promise<unknown> = Promise.resolve()

  constructor(name: string, parts: SpaceParts) {
    this.name = name
    this.#parts = parts
  }

  /** The log itself. */
  get log(): DecisionLog {
    return this.#parts.log
  }

  /**
   * Decides, all of it or nothing. Kept when fulfilled.
   *
   * @param o `intentId`: to be able to ask again, with the same answer; absent: a new one
   * @throws MeshError what `DecisionLog.append` throws
   */
  decide(
    drafts: readonly DecisionDraft[],
    o: { readonly intentId?: string; readonly expectHead?: number } = {},
  ): Promise<readonly DecisionEvent[]> {
    const { log, runtime } = this.#parts
    return log.append(this.name, drafts, { ...o, intentId: o.intentId ?? runtime.nextId() })
  }

  /**
   * What holds now.
   *
   * @throws MeshError what `DecisionLog.events` throws, other than `space_unknown`
   */
  state(): Promise<SpaceState> {
    const folded = this.#turn.then(() => this.#foldRest())
    this.#turn = folded.catch(() => undefined)
    return folded
  }

  /** The value of a key, or of what stands for one; null when nothing is decided on it. */
  async get(key: string): Promise<JsonValue> {
    const state = await this.state()
    return memberOf(state.state, resolveName(state, key))?.value ?? null
  }

  /** What held after an event. @throws MeshError `invalid_cursor`, `space_unknown` */
  async stateAt(seq: number): Promise<SpaceState> {
    return stateAt(this.log, this.name, seq, (await this.#parts.states?.read(this.name)) ?? null)
  }

  /** The decisions behind a key. */
  async why(key: string): Promise<Reasons> {
    return why(this.log, this.name, { key, state: await this.state() })
  }

  /** The log as lines of JSON. @throws MeshError `space_unknown` */
  export(): AsyncIterable<Uint8Array> {
    return exportJsonl(this.log, this.name)
  }

  /** Takes lines of JSON. @throws MeshError what `importJsonl` throws */
  import(source: AsyncIterable<Uint8Array>): Promise<Imported> {
    return importJsonl(this.log, this.name, source)
  }

  /** Ends what it reads and writes through; fulfilled when nothing of it runs any more. */
  close(): Promise<void> {
    return this.#parts.close()
  }

  async #foldRest(): Promise<SpaceState> {
    if (!(await this.#isContinued())) this.#begin()
    if (this.#last === null) await this.#recall()
    try {
      for await (const event of this.log.events(this.name, { after: this.#fold.seq })) {
        this.#fold.apply(event)
        this.#last = event
      }
    } catch (error) {
      if (!(error instanceof MeshError) || error.code !== 'space_unknown') throw error
      // Nothing was decided, or nothing any more.
      this.#begin()
    }
    const state = this.#fold.state()
    if (state.seq - this.#kept >= snapshotEvery) {
      this.#kept = state.seq
      await this.#parts.states?.write(this.name, state)
    }
    return state
  }

  /** Begins where somebody has folded before. */
  async #recall(): Promise<void> {
    const state = (await this.#parts.states?.read(this.name)) ?? null
    if (state === null) return
    for await (const event of this.log.events(this.name, { after: state.seq - 1, until: state.seq })) this.#last = event
    this.#fold = new Fold(state)
    this.#kept = state.seq
  }

  /** Whether the log still has what was folded: an operator may have accepted another history. */
  async #isContinued(): Promise<boolean> {
    const last = this.#last
    if (last === null) return true
    const { seq } = await this.log.head(this.name)
    if (last.seq > seq) return false
    for await (const { event_id } of this.log.events(this.name, { after: last.seq - 1, until: last.seq })) {
      return event_id === last.event_id
    }
    return false
  }

  #begin(): void {
    this.#fold = new Fold()
    this.#last = null
    this.#kept = 0
  }
}
