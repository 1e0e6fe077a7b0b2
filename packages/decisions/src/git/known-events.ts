/**
 * What this process knows of the events of one space: what was known when it was read before, and what it has read since.
 * `Snapshots` is told from time to time, so that whoever reads next begins there.
 */
import type { DecisionEvent } from '../event.ts'
import { SpaceLine } from '../space-line.ts'
import type { KnownPrefix } from './snapshots/known-prefix.ts'
import type { KnownEvent } from './snapshots/segment.ts'
import { type Snapshots, snapshotEvery } from './snapshots/snapshots.ts'

/** What was known at some time. It stays what it is, whatever is read or forgotten afterwards. */
export interface KnownView {
  readonly seq: number
  readonly before: KnownPrefix | null
  /** The commit of each event after that; there may be more by now. */
  readonly commits: readonly string[]
}

export class KnownEvents {
  readonly #space: string
  readonly #snapshots: Snapshots
  #line: SpaceLine
  #before: KnownPrefix | null = null
  /** The commit of each event after `before`. It only grows: who begins anew takes another list. */
  #commits: string[] = []
  /** The last events, which are in no snapshot yet. */
  #fresh: KnownEvent[] = []

  /** @throws MeshError `invalid_space` */
  constructor(space: string, snapshots: Snapshots) {
    this.#space = space
    this.#snapshots = snapshots
    this.#line = new SpaceLine(space)
  }

  get line(): SpaceLine {
    return this.#line
  }

  /** The number of the last event. */
  get seq(): number {
    return (this.#before?.seq ?? 0) + this.#commits.length
  }

  /** Its commit. */
  get last(): string | null {
    return this.#commits.at(-1) ?? this.#before?.commit ?? null
  }

  /** Whether all of it was known before, and nothing has been read. */
  get isFromBefore(): boolean {
    return this.#before !== null && this.#commits.length === 0
  }

  view(): KnownView {
    return { seq: this.seq, before: this.#before, commits: this.#commits }
  }

  /** Whether a view still shows what is known. */
  isOf({ commits }: KnownView): boolean {
    return commits === this.#commits
  }

  /** Begins with nothing. */
  forget(): void {
    this.#beginWith(null)
  }

  /** Begins with what was known before. */
  recall(): void {
    this.#beginWith(this.#snapshots.read(this.#space))
  }

  /** Has nobody recall anything any more. */
  discard(): void {
    this.#snapshots.remove(this.#space)
  }

  /** Reads all that was known before: nothing that is asked of the line fails afterwards. @throws SnapshotLost */
  load(): void {
    this.#before?.load()
  }

  /** Takes the next event, which the line has. */
  take({ event_id: eventId, intent_id: intentId }: DecisionEvent, commit: string): void {
    this.#commits.push(commit)
    this.#fresh.push({ commit, eventId, intentId })
  }

  /** Keeps what is known, if that has become enough. The branch leads to all of it. */
  keep(): void {
    if (this.#fresh.length < snapshotEvery) return
    const before = this.#snapshots.read(this.#space)
    const events = this.#fresh.slice(Math.max((before?.seq ?? 0) - (this.seq - this.#fresh.length), 0))
    const start = this.seq - events.length
    this.#fresh = []
    // Somebody else may have kept more meanwhile, or have removed what this goes on from.
    if (start !== (before?.seq ?? 0) || before?.commit !== this.#commitAt(start)) return
    this.#snapshots.extend(this.#space, { before, events, line: this.#line.known })
  }

  #commitAt(seq: number): string | undefined {
    const start = this.#before?.seq ?? 0
    return seq === start ? this.#before?.commit : this.#commits[seq - start - 1]
  }

  #beginWith(before: KnownPrefix | null): void {
    this.#before = before
    this.#line = new SpaceLine(this.#space, before)
    this.#commits = []
    this.#fresh = []
  }
}

/** The commits of the events after a number up to another one. @throws SnapshotLost */
export function commitsIn(view: KnownView, o: { readonly after: number; readonly until: number }): readonly string[] {
  const { before, commits } = view
  const start = before?.seq ?? 0
  const tail = commits.slice(Math.max(o.after - start, 0), Math.max(o.until - start, 0))
  return before === null || o.after >= start ? tail : [...before.commits(o.after, Math.min(o.until, start)), ...tail]
}
