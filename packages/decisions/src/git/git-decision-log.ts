/**
 * Logs of decisions in a repository of git, a branch for each space and a commit for each event (07 §2, §3).
 *
 * 1. What is acknowledged is on the disk, and stays: a branch only grows, each change compares it with what was read.
 * 2. Any number of processes may use the repository at once, and any git may read, repack and push it.
 * 3. What is read is checked; damage is `log_corrupt` after everything before it.
 */
import { join } from 'node:path'
import { MeshError } from '@claudemesh/protocol'
import { checkCursor, type DecisionLog, type Head } from '../decision-log.ts'
import { checkSpaceName, type DecisionDraft, type DecisionEvent } from '../event.ts'
import { type Runtime, systemRuntime } from '../runtime.ts'
import { checkAppend } from '../space-line.ts'
import { Changes } from './changes.ts'
import { examineRepository, examineSpace, type RepositoryReport, type SpaceReport } from './examine.ts'
import { FreshEvents } from './fresh-events.ts'
import type { ObjectFormat } from './git-object.ts'
import { GitSpace, type SpaceSource } from './git-space.ts'
import { HighWaterMarks } from './high-water-mark.ts'
import { importEvents } from './import-events.ts'
import { type HeldLease, type LeaseRequest, Leases } from './leases.ts'
import { ObjectReader } from './object-reader.ts'
import { PackWriter } from './pack-writer.ts'
import { Proposals } from './proposals.ts'
import { RefWriter } from './ref-writer.ts'
import { type PulledSpace, type PullOptions, type PushedSpace, pullSpaces, pushSpaces } from './remote.ts'
import { Repacker } from './repacker.ts'
import { listRefs, openRepository, type Repository, showBranch, spaceRefPrefix } from './repository.ts'
import { Snapshots } from './snapshots/snapshots.ts'
import { FoldedStates } from './snapshots/states.ts'
import { type AppendTarget, type GitAppendOptions, SpaceAppender } from './space-appender.ts'

export interface GitDecisionLogOptions {
  /** A bare repository, a working copy, or where to make one. */
  readonly path: string
  /** Of a repository that is made; one that is there has its own. */
  readonly objectFormat?: ObjectFormat
  readonly runtime?: Runtime
}

interface OpenSpace {
  readonly space: GitSpace
  readonly appender: SpaceAppender
}

export class GitDecisionLog implements DecisionLog {
  /** Who may append to each space. */
  readonly leases: Leases
  /** What is decided elsewhere: in a space that repositories share. */
  readonly proposals: Proposals
  /** What followed from each log, as it was folded before. */
  readonly states: FoldedStates
  readonly #repository: Repository
  readonly #runtime: Runtime
  readonly #reader: ObjectReader
  readonly #packs: PackWriter
  readonly #refs: RefWriter
  readonly #marks: HighWaterMarks
  readonly #snapshots: Snapshots
  readonly #repacker: Repacker
  readonly #spaces = new Map<string, OpenSpace>()
  readonly #changes = new Changes()

  /** @throws MeshError `git_missing`, `git_too_old`, `not_a_repository`, `insufficient_storage`, `storage_failed` */
  static async open({
    path,
    objectFormat = 'sha1',
    runtime = systemRuntime(),
  }: GitDecisionLogOptions): Promise<GitDecisionLog> {
    return new GitDecisionLog(await openRepository(path, objectFormat), runtime)
  }

  private constructor(repository: Repository, runtime: Runtime) {
    this.#repository = repository
    this.#runtime = runtime
    this.#reader = new ObjectReader(repository)
    this.#packs = new PackWriter(repository)
    this.#refs = new RefWriter(repository)
    this.#marks = new HighWaterMarks(repository)
    this.#snapshots = new Snapshots(repository)
    this.#repacker = new Repacker({ repository, packs: this.#packs, now: runtime.now })
    this.leases = new Leases({ repository, reader: this.#reader, packs: this.#packs, refs: this.#refs, runtime })
    this.states = new FoldedStates((name) => this.#open(name).space, this.#snapshots)
    this.proposals = new Proposals({
      spaceOf: (name) => this.#open(name).space,
      target: this.#target(),
      reader: this.#reader,
      moved: (space, events) => this.#moved(space, events),
    })
  }

  async append(
    space: string,
    drafts: readonly DecisionDraft[],
    o: GitAppendOptions,
  ): Promise<readonly DecisionEvent[]> {
    const { appender, space: opened } = this.#open(space)
    const events = await appender.append(checkAppend(drafts, o), o)
    await this.#moved(opened, events)
    return structuredClone(events)
  }

  async importEvents(
    space: string,
    events: AsyncIterable<DecisionEvent>,
    o: { readonly lease?: HeldLease } = {},
  ): Promise<number> {
    const imported = new GitSpace(space, this.#source())
    const count = await importEvents(imported, events, { ...this.#target(), lease: o.lease ?? null })
    if (count > 0) await showBranch(this.#repository, imported.ref)
    this.#changes.tell()
    return count
  }

  async *events(
    space: string,
    { after = 0, until = Number.MAX_SAFE_INTEGER }: { readonly after?: number; readonly until?: number } = {},
  ): AsyncGenerator<DecisionEvent> {
    checkCursor(after)
    checkCursor(until)
    const { space: opened } = this.#open(space)
    const fresh = new FreshEvents()
    const viewed = opened.latest((events) => fresh.add(events))
    viewed.then(
      () => fresh.end(),
      () => fresh.end(),
    )
    let last = after
    for await (const part of fresh.parts()) {
      for (const event of part) {
        // What was read before comes below, and with it all that follows.
        if (event.seq !== last + 1 || event.seq > until) continue
        last = event.seq
        yield event
      }
    }
    const view = await viewed
    if (view.head === null) throw new MeshError('space_unknown', { detail: `There is no space ${space}.` })
    yield* opened.read(view, { after: last, until: Math.min(until, view.seq) })
    if (view.damage !== null && until > view.seq) throw view.damage
  }

  async head(space: string): Promise<Head> {
    const { seq, head, damage } = await this.#open(space).space.latest()
    if (damage !== null) throw damage
    return { seq, oid: head }
  }

  async *watch(space: string, after: number, signal: AbortSignal): AsyncGenerator<DecisionEvent> {
    checkCursor(after)
    const { space: opened } = this.#open(space)
    for (let seen = after; !signal.aborted; ) {
      const view = await opened.latest()
      for await (const event of opened.read(view, { after: seen, until: view.seq })) {
        if (signal.aborted) return
        seen = event.seq
        yield event
      }
      if (view.damage !== null) throw view.damage
      if (view.seq <= seen) await this.#changes.next(signal)
    }
  }

  /**
   * Pushes every space to another repository, each as far as it continues what is there.
   *
   * @param remote an absolute path, a URL, `host:path`, or the name of a remote of the repository
   * @param signal ends it
   * @throws MeshError `invalid_request`, `remote_failed`
   */
  push(remote: string, signal?: AbortSignal): Promise<readonly PushedSpace[]> {
    return pushSpaces(this.#repository, remote, signal)
  }

  /**
   * Takes from another repository what continues the spaces here, and the spaces that are not here. Each decision is checked
   * first; a space that fails ends it, and those before it stay as they are then.
   *
   * @param remote as of `push`
   * @throws MeshError `invalid_request`, `remote_failed`, and what `append` throws
   */
  async pull(remote: string, o: PullOptions = {}): Promise<readonly PulledSpace[]> {
    const { repository, refs, leases } = this.#target()
    const pulled = await pullSpaces({ repository, refs, leases, spaceOf: (name) => this.#open(name).space }, remote, o)
    this.#changes.tell()
    return pulled
  }

  /** Looks through the whole repository, and reads every space. @throws MeshError `storage_failed` */
  async fsck(): Promise<RepositoryReport> {
    const spaces: SpaceReport[] = []
    for (const name of await this.spaces()) {
      const { space } = this.#open(name)
      spaces.push(await space.exclusively(() => examineSpace(space)))
    }
    return { problems: await examineRepository(this.#repository), spaces }
  }

  async spaces(): Promise<readonly string[]> {
    return [...(await this.heads()).keys()]
  }

  /** The last commit of each space, as git has them: nothing is read for it. @throws MeshError `storage_failed` */
  async heads(): Promise<ReadonlyMap<string, string>> {
    return listRefs(this.#repository, spaceRefPrefix)
  }

  /** Where git has a file for each branch that moved lately: whoever moves one changes this directory. */
  get branchDirectory(): string {
    return join(this.#repository.directory, spaceRefPrefix)
  }

  /**
   * Takes a branch as it is now, wherever it was moved: what an operator decides after `history_rewritten`.
   *
   * @throws MeshError `invalid_space`, `storage_failed`
   */
  async acceptHistory(space: string): Promise<void> {
    const { space: opened } = this.#open(space)
    await opened.exclusively(async () => {
      this.#marks.remove(space)
      opened.forget({ anew: true })
      await opened.refresh()
    })
  }

  /**
   * Takes the lease of a space from whoever holds it, and logs that in a note of the same change: what an operator does when
   * the holder is known to be gone.
   *
   * @param actor of the note
   * @throws MeshError `lease_lost` when the lease changed in this moment, and what `append` throws
   */
  async seizeLease(space: string, actor: string, request: LeaseRequest): Promise<HeldLease> {
    const { appender } = this.#open(space)
    const { held, change } = await this.leases.seizure(space, request)
    const { epoch, holder } = held.lease.record
    const note: DecisionDraft = {
      kind: 'note',
      actor,
      payload: { text: `lease ${epoch} of ${space} taken over by ${holder}`, refs: [] },
    }
    const o = { intentId: `lease/${epoch}/${holder}` }
    await appender.append(checkAppend([note], o), o, change)
    return held
  }

  /** Ends the processes that it reads and writes through. What was begun fails. */
  async close(): Promise<void> {
    this.#reader.close()
    this.#refs.close()
    await this.#repacker.settle()
  }

  async #moved({ ref }: GitSpace, [first]: readonly DecisionEvent[]): Promise<void> {
    if (first?.seq === 1) await showBranch(this.#repository, ref)
    this.#changes.tell()
    this.#repacker.appended()
  }

  #open(name: string): OpenSpace {
    checkSpaceName(name)
    const opened = this.#spaces.get(name)
    if (opened !== undefined) return opened
    const space = new GitSpace(name, this.#source())
    const made = { space, appender: new SpaceAppender(space, this.#target()) }
    this.#spaces.set(name, made)
    return made
  }

  #source(): SpaceSource {
    return {
      repository: this.#repository,
      reader: this.#reader,
      refs: this.#refs,
      marks: this.#marks,
      snapshots: this.#snapshots,
    }
  }

  #target(): AppendTarget {
    return {
      repository: this.#repository,
      packs: this.#packs,
      refs: this.#refs,
      leases: this.leases,
      runtime: this.#runtime,
    }
  }
}
