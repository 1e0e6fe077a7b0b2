/**
 * One space in a repository, as far as this process has read it.
 *
 * 1. What it knows is a prefix of the branch. It begins with what was known when it was read before, if the branch leads there;
 *    the rest is checked commit by commit, as is every event that is given out. Damage ends it and is kept as its reason.
 * 2. A branch that does not continue what was seen is refused until somebody accepts it.
 * 3. What was drawn and not committed is forgotten with all else: it is read again from the branch. Until then the line is
 *    ahead; readers do not see it, and whoever draws begins with `settle`.
 */
import { MeshError } from '@claudemesh/protocol'
import type { DecisionEvent } from '../event.ts'
import type { SpaceLine } from '../space-line.ts'
import { admitRead, type CommitList, listCommits, readEvents } from './commit-chain.ts'
import { type HighWaterMarks, historyRewritten } from './high-water-mark.ts'
import { commitsIn, KnownEvents, type KnownView } from './known-events.ts'
import type { ObjectReader } from './object-reader.ts'
import type { RefWriter } from './ref-writer.ts'
import { type Repository, spaceRefPrefix } from './repository.ts'
import { SnapshotLost } from './snapshots/segment.ts'
import type { Snapshots } from './snapshots/snapshots.ts'

/** What a space is read through. */
export interface SpaceSource {
  readonly repository: Repository
  readonly reader: ObjectReader
  readonly refs: RefWriter
  readonly marks: HighWaterMarks
  readonly snapshots: Snapshots
}

/** What a space was when it was read last. It stays what it is, whatever is appended or accepted afterwards. */
export interface SpaceView extends KnownView {
  readonly head: string | null
  readonly damage: MeshError | null
}

export class GitSpace {
  readonly name: string
  readonly ref: string
  readonly #source: SpaceSource
  readonly #known: KnownEvents
  /** Everything is to be read, whatever was known before. */
  #isAnew = false
  /** Where the branch was when it was read last. */
  #head: string | null = null
  #damage: MeshError | null = null
  #turn: Promise<unknown> = Promise.resolve()

  /** @throws MeshError `invalid_space` */
  constructor(name: string, source: SpaceSource) {
    this.#known = new KnownEvents(name, source.snapshots)
    this.name = name
    this.ref = `${spaceRefPrefix}${name}`
    this.#source = source
  }

  /** Everything that was read, for whoever draws the next events. */
  get line(): SpaceLine {
    return this.#known.line
  }

  /** The number of the last event that was read. */
  get seq(): number {
    return this.#known.seq
  }

  /** Whether the line has taken events that the branch does not have (yet). */
  get isAhead(): boolean {
    return this.line.seq > this.seq
  }

  /** The last commit of the branch; null for a space that is not there. */
  get head(): string | null {
    return this.#head
  }

  /** Null: what was read is all there is. */
  get damage(): MeshError | null {
    return this.#damage
  }

  view(): SpaceView {
    return { ...this.#known.view(), head: this.#head, damage: this.#damage }
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
    await this.#whileLost(() => this.#refresh(admitted))
  }

  /** After it nothing that is asked of the line fails. Only inside of `exclusively`. @throws as `refresh` does */
  async ready(): Promise<void> {
    await this.#whileLost(async () => {
      await this.refresh()
      this.#known.load()
    })
  }

  /** What was known before may be lost at any time: then it is done without. */
  async #whileLost(work: () => Promise<void>): Promise<void> {
    for (let losses = 0; ; losses += 1) {
      try {
        await work()
        return
      } catch (error) {
        if (!(error instanceof SnapshotLost)) throw error
        this.forget({ anew: losses > 0 })
      }
    }
  }

  async #refresh(admitted?: (events: readonly DecisionEvent[]) => void): Promise<void> {
    const seen = await this.#branch()
    if (seen === this.#head && (seen !== null || this.#source.marks.read(this.name) === null)) return
    // Whoever moves the branch writes the mark afterwards: one that is read first is never ahead of the branch.
    const mark = this.#source.marks.read(this.name)
    if (this.#damage !== null || this.isAhead) this.forget()
    if (this.seq === 0 && !this.#isAnew) this.#known.recall()
    const head = await this.#branch()
    const known = this.#known.last
    const list = await this.#list(head, known)
    if (list?.parent !== known && this.#known.isFromBefore) {
      this.#known.discard()
      throw new SnapshotLost(`${this.ref} does not lead to ${known}`)
    }
    if (list === null) return
    if (list.parent !== known) throw this.#rewritten(head)
    this.#checkMark(mark, list.ids, head)
    await this.#take(list.ids, admitted)
    this.#head = head
    if (this.#damage !== null || head === null) return
    this.#markAsFound()
    this.#known.keep()
  }

  /** Takes events that this process has just committed. */
  append(events: readonly DecisionEvent[], commits: readonly string[]): void {
    for (const [place, event] of events.entries()) this.#known.take(event, commits[place] ?? '')
    if (this.line.seq !== this.seq) throw new Error(`${events.length} events were committed that were not drawn`)
    this.moved()
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
    const known = this.#known.last
    const list = await listCommits(this.#source.repository, { space: this.name, head: commit, without: known })
    if (list.ids.length === 0) return 0
    if (list.parent !== known) return null
    await this.#take(list.ids)
    if (this.#damage !== null) throw this.#damage
    return list.ids.length
  }

  /** Says that the branch is where `readAhead` has read to. */
  moved(): void {
    this.#head = this.#known.last
    this.#mark()
    this.#known.keep()
  }

  /** Forgets what was drawn and not committed. */
  settle(): void {
    if (this.isAhead) this.forget()
  }

  /** The next refresh begins with what was known before, or `anew`, with nothing. */
  forget({ anew = false }: { readonly anew?: boolean } = {}): void {
    if (anew) this.#known.discard()
    this.#isAnew = anew
    this.#known.forget()
    this.#head = null
    this.#damage = null
  }

  /**
   * The events with these numbers, read and checked again.
   *
   * @param o `after`: the number before the first; `until`: the last one, at most `seq` of the view
   * @throws MeshError `log_corrupt`
   */
  async *read(view: SpaceView, o: { readonly after: number; readonly until: number }): AsyncGenerator<DecisionEvent> {
    const { after, until } = o
    if (after >= until) return
    const first = Math.max(after - 1, 0)
    const ids = await this.#commitsIn(view, { after: first, until })
    const commits = { parent: after === 0 ? null : (ids[0] ?? null), ids: ids.slice(after - first) }
    for await (const part of readEvents(this.#source, { space: this.name, seq: after + 1, commits })) {
      for (const { event } of part) yield event
    }
  }

  /** The commit of an event, hexadecimal; null when the view has none of this number. */
  async commitAt(view: SpaceView, seq: number): Promise<string | null> {
    return (await this.#commitsIn(view, { after: seq - 1, until: seq }))[0] ?? null
  }

  /** A view whose files are not there any more has the same commits as one that is made now. */
  async #commitsIn(view: SpaceView, o: { readonly after: number; readonly until: number }): Promise<readonly string[]> {
    try {
      return commitsIn(view, o)
    } catch (error) {
      if (!(error instanceof SnapshotLost)) throw error
      if (this.#known.isOf(view)) this.forget()
      return this.#commitsIn(await this.latest(), o)
    }
  }

  async #branch(): Promise<string | null> {
    const [found] = await this.#source.reader.info([this.ref])
    return found?.id ?? null
  }

  /** Null when the branch cannot be followed: then all of it is damaged. */
  async #list(head: string | null, known: string | null): Promise<CommitList | null> {
    if (head === known) return { parent: known, ids: [] }
    if (head === null) return { parent: null, ids: [] }
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
    const commits = { parent: this.#known.last, ids }
    try {
      for await (const part of readEvents(this.#source, { space: this.name, seq: this.seq + 1, commits })) {
        const from = this.seq
        try {
          for (const { event, commit } of part) {
            admitRead(this.line, event, commit)
            this.#known.take(event, commit)
          }
        } finally {
          admitted?.(part.slice(0, this.seq - from).map(({ event }) => event))
        }
      }
    } catch (error) {
      if (!(error instanceof MeshError) || error.code !== 'log_corrupt') throw error
      this.#damage = error
    }
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
    const commit = this.#known.last
    if (commit !== null) this.#source.marks.write(this.name, { seq: this.seq, commit })
  }

  #rewritten(head: string | null): MeshError {
    const seen = this.#source.marks.read(this.name) ?? { seq: this.seq, commit: this.#known.last }
    return historyRewritten(this.ref, { space: this.name, head, seen })
  }
}
