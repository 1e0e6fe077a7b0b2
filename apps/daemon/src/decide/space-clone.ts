/** What this member has of one shared space: its own log, changed under the lease of the repository only. */
import type {
  AppendPlan,
  DecisionEvent,
  HeldLease,
  Place,
  PlannedAppend,
  Proposal,
  Proposals,
} from '@claudemesh/decisions'
import type { SpaceHead } from '@claudemesh/protocol'
import type { Spaces } from '../spaces/spaces.ts'

export class SpaceClone {
  readonly name: string
  readonly #spaces: Spaces

  constructor(name: string, spaces: Spaces) {
    this.name = name
    this.#spaces = spaces
  }

  /** Where the log ends. */
  async end(): Promise<SpaceHead> {
    const { seq } = await this.#spaces.use((log) => log.head(this.name))
    return { seq, event_id: await this.idAt(seq) }
  }

  /** The event id of a decision; null where there is none. */
  idAt(seq: number): Promise<string | null> {
    if (seq === 0) return Promise.resolve(null)
    return this.#spaces.use(async (log) => {
      for await (const event of log.events(this.name, { after: seq - 1, until: seq })) return event.event_id
      return null
    })
  }

  /** Decisions after a number in their written form, a line each, as many as fit. */
  async linesAfter(after: number, bytesMax: number): Promise<string> {
    const { encodeEvent } = await import('@claudemesh/decisions')
    return this.#spaces.use(async (log) => {
      const lines: Buffer[] = []
      let bytes = 0
      for await (const event of log.events(this.name, { after })) {
        const line = encodeEvent(event)
        bytes += line.length
        if (bytes > bytesMax) break
        lines.push(line)
      }
      return Buffer.concat(lines).toString('utf8')
    })
  }

  answerOf(append: PlannedAppend): Promise<readonly DecisionEvent[] | null> {
    return this.#change((proposals, lease) => proposals.answerOf(this.name, append, lease))
  }

  propose(
    appends: readonly PlannedAppend[],
    bytesMax: number,
  ): Promise<{ readonly proposal: Proposal | null; readonly outcomes: readonly AppendPlan[] }> {
    return this.#change((proposals, lease) => proposals.propose(this.name, appends, { lease, bytesMax }))
  }

  proposal(): Promise<Proposal | null> {
    return this.#change((proposals, lease) => proposals.find(this.name, lease))
  }

  accept(proposal: Proposal): Promise<void> {
    return this.#change((proposals, lease) => proposals.accept(proposal, lease))
  }

  drop(): Promise<void> {
    return this.#change((proposals, lease) => proposals.drop(this.name, lease))
  }

  /** @returns whether they follow what is here */
  apply(place: Place, events: readonly DecisionEvent[]): Promise<boolean> {
    return this.#change((proposals, lease) => proposals.apply(this.name, place, { events, lease }))
  }

  #change<T>(run: (proposals: Proposals, lease: HeldLease) => Promise<T>): Promise<T> {
    return this.#spaces.use(async (log) => {
      // Kept: what another process of this host appended without the others would be another log.
      await log.acquire(this.name, { keep: true })
      return log.underLease(this.name, (lease) => run(log.log.proposals, lease))
    })
  }
}
