import type { KnownLine, LineBefore } from '../../space-line.ts'
import { intentKey, removeLost, type Segment, SnapshotLost } from './segment.ts'

/** The beginning of a space as segments know it, without a gap. */
export class KnownPrefix implements LineBefore {
  /** The oldest first; at least one. */
  readonly segments: readonly Segment[]
  readonly #last: Segment

  constructor(segments: readonly Segment[]) {
    const last = segments.at(-1)
    if (last === undefined) throw new Error('a prefix has a segment')
    this.segments = segments
    this.#last = last
  }

  get seq(): number {
    return this.#last.head.to
  }

  /** Of its last event. Hexadecimal. */
  get commit(): string {
    return this.#last.head.commit
  }

  get line(): KnownLine {
    return this.#last.head.line
  }

  /** Reads all of it: nothing throws afterwards. @throws SnapshotLost */
  load(): void {
    this.#each((segment) => segment.load())
  }

  /** The commits of the events after a number up to another one, at most `seq`. @throws SnapshotLost */
  commits(after: number, until: number): readonly string[] {
    return this.#each((segment) => {
      const { from, to } = segment.head
      return from > until || to <= after ? [] : segment.commits(Math.max(after, from - 1), Math.min(until, to))
    }).flat()
  }

  hasEventId(eventId: string): boolean {
    return this.#each((segment) => segment.hasEventId(eventId)).includes(true)
  }

  findIntent(intentId: string): readonly number[] {
    const key = Buffer.from(intentKey(intentId), 'hex')
    return this.#each((segment) => segment.findIntent(key)).flat()
  }

  #each<T>(ask: (segment: Segment) => T): T[] {
    return this.segments.map((segment) => {
      try {
        return ask(segment)
      } catch (error) {
        if (error instanceof SnapshotLost) removeLost(segment.path)
        throw error
      }
    })
  }
}
