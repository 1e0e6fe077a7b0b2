/**
 * One space in a repository, as far as this process has read it.
 *
 * 1. What it has read is a prefix of the branch, checked commit by commit; damage ends it and is kept as its reason.
 * 2. A branch that does not continue what was seen is refused until somebody accepts it.
 * 3. What was drawn and not committed is forgotten with all else: it is read again from the branch. Until then the line is
 *    ahead; readers do not see it, and whoever draws begins with `settle`.
 */
import { MeshError } from '@claudemesh/protocol'
import { toStorageError } from '@claudemesh/storage'
import type { DecisionEvent } from '../event.ts'
import { SpaceLine } from '../space-line.ts'
import { type CheckedEvent, corrupt, listCommits, readEvents } from './commit-chain.ts'
import type { HighWaterMarks } from './high-water-mark.ts'
import type { ObjectReader } from './object-reader.ts'
import type { RefWriter } from './ref-writer.ts'
import { type Repository, spaceRefPrefix } from './repository.ts'

/** What a space is read through. */
export interface SpaceSource {
  readonly repository: Repository
  readonly reader: ObjectReader
  readonly refs: RefWriter
  readonly marks: HighWaterMarks
}

/** What a space was when it was read last. It stays what it is, whatever is appended or accepted afterwards. */
export interface SpaceView {
  readonly seq: number
  readonly head: string | null
  readonly damage: MeshError | null
  /** The commit of each event; there may be more by now. */
  readonly commits: readonly string[]
}

export class GitSpace {
  readonly name: string
  readonly ref: string
  readonly #source: SpaceSource
  #line: SpaceLine
  /** The commit of each event. It only grows: who begins anew takes another list. */
  #commits: string[] = []
  /** Where the branch was when it was read last. */
  #head: string | null = null
  #damage: MeshError | null = null
  #turn: Promise<unknown> = Promise.resolve()

  /** @throws MeshError `invalid_space` */
  constructor(name: string, source: SpaceSource) {
    this.#line = new SpaceLine(name)
    this.name = name
    this.ref = `${spaceRefPrefix}${name}`
    this.#source = source
  }

  /** Everything that was read, for whoever draws the next events. */
  get line(): SpaceLine {
    return this.#line
  }

  /** The number of the last event that was read. */
  get seq(): number {
    return this.#commits.length
  }

  /** Whether the line has taken events that the branch does not have (yet). */
  get isAhead(): boolean {
    return this.#line.seq > this.seq
  }

  /** The last commit of the branch; null for a space that is not there. */
  get head(): string | null {
    return this.#head
  }

  /** Why what was read is not all there is; null when it is. */
  get damage(): MeshError | null {
    return this.#damage
  }

  /** As it is now. */
  view(): SpaceView {
    return { seq: this.seq, head: this.#head, damage: this.#damage, commits: this.#commits }
  }

  /** Runs work during which nobody else reads or appends here. */
  exclusively<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work)
    this.#turn = done.catch(() => undefined)
    return done
  }

  /** As its branch is now. @param admitted as of `refresh` @throws MeshError as `refresh` says */
  latest(admitted?: (events: readonly DecisionEvent[]) => void): Promise<SpaceView> {
    return this.exclusively(async () => {
      await this.refresh(admitted)
      return this.view()
    })
  }

  /**
   * Reads what the branch has that was not read yet. Only inside of `exclusively`.
   *
   * @param admitted is told the events as they are read, in order
   * @throws MeshError `history_rewritten`, `storage_failed`
   */
  async refresh(admitted?: (events: readonly DecisionEvent[]) => void): Promise<void> {
    const seen = await this.#branch()
    if (seen === this.#head && (seen !== null || this.#source.marks.read(this.name) === null)) return
    // Whoever moves the branch writes the mark afterwards: one that is read first is never ahead of the branch.
    const mark = this.#source.marks.read(this.name)
    const head = await this.#branch()
    if (this.#damage !== null || this.isAhead) this.forget()
    const known = this.#commits.at(-1) ?? null
    const list = head === null ? { parent: null, ids: [] } : await this.#list(head, known)
    if (list === null) return
    if (list.parent !== known) throw this.#rewritten(head)
    this.#checkMark(mark, list.ids, head)
    await this.#take(list.ids, admitted)
    this.#head = head
    if (this.#damage === null && head !== null) this.#markAsFound()
  }

  /** Takes events that this process has just committed. */
  append(events: readonly DecisionEvent[], commits: readonly string[]): void {
    this.#commits.push(...commits)
    this.#head = commits.at(-1) ?? this.#head
    if (this.#line.seq !== this.seq) throw new Error(`${events.length} events were committed that were not drawn`)
    this.#mark()
  }

  /**
   * Reads what a commit that came from elsewhere has beyond this space. Whoever moves the branch there afterwards calls
   * `moved`, and otherwise `forget`.
   *
   * @returns how many events; null when it does not continue this space
   * @throws MeshError `log_corrupt`: this or the other one is damaged
   */
  async readAhead(commit: string): Promise<number | null> {
    if (this.#damage !== null) throw this.#damage
    const known = this.#commits.at(-1) ?? null
    const list = await listCommits(this.#source.repository, { space: this.name, head: commit, without: known })
    if (list.ids.length === 0) return 0
    if (list.parent !== known) return null
    await this.#take(list.ids)
    if (this.#damage !== null) throw this.#damage
    return list.ids.length
  }

  /** Says that the branch is where `readAhead` has read to. */
  moved(): void {
    this.#head = this.#commits.at(-1) ?? null
    this.#mark()
  }

  /** Forgets what was drawn and not committed. */
  settle(): void {
    if (this.isAhead) this.forget()
  }

  /** Begins anew: the next refresh reads everything again. */
  forget(): void {
    this.#line = new SpaceLine(this.name)
    this.#commits = []
    this.#head = null
    this.#damage = null
  }

  /**
   * The events with these numbers, read and checked again.
   *
   * @param o `after`: the number before the first; `until`: the last one, at most `seq` of the view
   * @throws MeshError `log_corrupt`
   */
  async *read(
    { commits: all }: SpaceView,
    o: { readonly after: number; readonly until: number },
  ): AsyncGenerator<DecisionEvent> {
    const { after, until } = o
    const commits = { parent: all[after - 1] ?? null, ids: all.slice(after, until) }
    for await (const part of readEvents(this.#source, { space: this.name, seq: after + 1, commits })) {
      for (const { event } of part) yield event
    }
  }

  /** Null when the branch cannot be followed: then all of it is damaged. */
  /** The last commit of the branch as it is now. */
  async #branch(): Promise<string | null> {
    const [found] = await this.#source.reader.info([this.ref])
    return found?.id ?? null
  }

  async #list(head: string, known: string | null) {
    try {
      return await listCommits(this.#source.repository, { space: this.name, head, without: known })
    } catch (error) {
      if (!(error instanceof MeshError) || error.code !== 'log_corrupt') throw error
      this.#damage = error
      this.#head = head
      return null
    }
  }

  #checkMark(mark: ReturnType<HighWaterMarks['read']>, added: readonly string[], head: string | null): void {
    if (mark === null || mark.seq <= this.seq) return
    if (added[mark.seq - this.seq - 1] !== mark.commit) throw this.#rewritten(head)
  }

  async #take(ids: readonly string[], admitted?: (events: readonly DecisionEvent[]) => void): Promise<void> {
    const commits = { parent: this.#commits.at(-1) ?? null, ids }
    try {
      for await (const part of readEvents(this.#source, { space: this.name, seq: this.seq + 1, commits })) {
        const from = this.seq
        try {
          for (const checked of part) this.#admit(checked)
        } finally {
          admitted?.(part.slice(0, this.seq - from).map(({ event }) => event))
        }
      }
    } catch (error) {
      if (!(error instanceof MeshError) || error.code !== 'log_corrupt') throw error
      this.#damage = error
    }
  }

  #admit({ event, commit }: CheckedEvent): void {
    try {
      this.#line.admit(event)
    } catch (cause) {
      throw corrupt({
        space: this.name,
        seq: event.seq,
        commit,
        why: `it does not follow the one before: ${cause}`,
        cause,
      })
    }
    this.#commits.push(commit)
  }

  /** Whoever moved the branch may have died before that was durable: then the mark must not be ahead of it. */
  #markAsFound(): void {
    try {
      this.#source.refs.sync(this.ref)
    } catch (error) {
      // Reading goes on where nothing can be synced, as on a disk that cannot be written; without a mark.
      if (error instanceof MeshError) return
      throw error
    }
    this.#mark()
  }

  #mark(): void {
    const commit = this.#commits.at(-1)
    if (commit === undefined) return
    try {
      this.#source.marks.write(this.name, { seq: this.seq, commit })
    } catch (error) {
      // Readers go on where nothing can be written; without the mark a rewrite is seen by this process alone.
      if (!(toStorageError(error, this.ref) instanceof MeshError)) throw error
    }
  }

  #rewritten(head: string | null): MeshError {
    const seen = this.#source.marks.read(this.name) ?? { seq: this.seq, commit: this.#commits.at(-1) ?? null }
    return new MeshError('history_rewritten', {
      detail: `${this.ref} is at ${head ?? 'no commit'} and does not lead to ${seen.commit}, which was decision ${seen.seq}.`,
      data: { space: this.name, seen_seq: seen.seq, seen_commit: seen.commit, head },
    })
  }
}
