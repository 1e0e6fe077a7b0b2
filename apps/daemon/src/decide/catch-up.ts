/** Gets what others have decided and is not here yet: asked of the holder first, then of everybody else who follows the space. */
import { MeshError, type SpaceLeaseRecord, type SpaceMail, spaceTopic } from '@claudemesh/protocol'
import { decideAskMs, decideCatchUpMsMax } from '../space-limits.ts'
import type { BrokerRequest } from './authority.ts'
import type { SpaceClone } from './space-clone.ts'
import type { Wakes } from './wakes.ts'

export interface CatchUpOptions {
  readonly clone: SpaceClone
  readonly request: BrokerRequest
  readonly send: (memberId: string, mail: SpaceMail) => Promise<void>
  /** Told of decisions that came. */
  readonly wakes: Wakes
  readonly selfId: string
  readonly monotonicMs: () => number
  /** Ends the wait. */
  readonly signal: AbortSignal
}

export class CatchUp {
  readonly #o: CatchUpOptions
  readonly #asked = new Set<string>()

  constructor(o: CatchUpOptions) {
    this.#o = o
  }

  /** Whether this member was asked for decisions: of nobody else they are taken, other than by the broker. */
  hasAsked(memberId: string): boolean {
    return this.#asked.has(memberId)
  }

  /**
   * Waits until everything that the broker has seen is here.
   *
   * @throws MeshError `space_waiting`: nobody who has it answered in time
   */
  async reach({ head, holder }: SpaceLeaseRecord): Promise<void> {
    const { clone, monotonicMs, signal } = this.#o
    const until = monotonicMs() + decideCatchUpMsMax
    let end = await clone.end()
    while (end.seq < head.seq) {
      const before = end.seq
      for (const peer of await this.#peers(holder)) {
        end = await this.#ask(peer, head.seq)
        if (end.seq >= head.seq || monotonicMs() > until || signal.aborted) break
      }
      if (end.seq >= head.seq) return
      // As long as something comes it is waited for.
      if (end.seq === before || monotonicMs() > until || signal.aborted) throw behind(clone.name, end.seq, head.seq)
    }
  }

  async #peers(holder: string | null): Promise<readonly string[]> {
    const { request, clone, selfId } = this.#o
    const { members } = await request('topics.recipients', { topic: spaceTopic(clone.name) })
    const others = members.filter((id) => id !== holder && id !== selfId)
    return holder === null || holder === selfId ? others : [holder, ...others]
  }

  /** Asks one member again and again, as long as more comes of it. @returns where the log ends then */
  async #ask(peer: string, seq: number) {
    const { clone, send, wakes, monotonicMs, signal } = this.#o
    this.#asked.add(peer)
    for (;;) {
      const from = await clone.end()
      const about = { v: 1, space: clone.name, after: from.seq, after_id: from.event_id } as const
      await send(peer, { kind: '$decision_request', about, body: '' })
      const until = monotonicMs() + decideAskMs
      let end = from
      while (end.seq === from.seq && monotonicMs() < until && !signal.aborted) {
        await wakes.next(until - monotonicMs())
        end = await clone.end()
      }
      if (end.seq === from.seq || end.seq >= seq) return end
    }
  }
}

function behind(space: string, seq: number, head: number): MeshError {
  return new MeshError('space_waiting', {
    detail: `Of ${head} decisions in ${space} ${seq} are here, and none of the members who have the others answered yet.`,
    data: { space, seq, head },
  })
}
