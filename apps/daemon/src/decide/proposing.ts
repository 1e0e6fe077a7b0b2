/**
 * Appends of the holder of a shared space: proposed here, brought to the broker, and in the log when it has taken them.
 *
 * 1. There is one proposal at a time. Whoever comes while it is on its way shares the next one.
 * 2. A proposal without an answer keeps everything else from being proposed until it is settled.
 */
import type { DecisionEvent, PlannedAppend, Proposal } from '@claudemesh/decisions'
import { MeshError, type SpaceLeaseRecord, type SpaceMail } from '@claudemesh/protocol'
import { crashPoint } from '@claudemesh/storage'
import { decideBatchMax } from '../space-limits.ts'
import type { AppendMessage } from './append-transmitter.ts'
import type { Authority } from './authority.ts'
import type { SpaceClone } from './space-clone.ts'
import type { Wakes } from './wakes.ts'

export interface ProposingOptions {
  readonly clone: SpaceClone
  readonly authority: Authority
  /** @returns false when the broker did not take it, or may have */
  readonly transmit: (message: AppendMessage, signal: AbortSignal) => Promise<boolean>
  readonly wakes: Wakes
  readonly selfId: string
  /** Bytes of one message. */
  readonly bytesMax: () => number
  readonly signal: AbortSignal
}

interface Waiter extends PlannedAppend {
  readonly resolve: (events: readonly DecisionEvent[]) => void
  readonly reject: (error: unknown) => void
}

export class Proposing {
  readonly #o: ProposingOptions
  readonly #queue: Waiter[] = []
  #isPumping = false
  #isSettled = false
  #turn: Promise<unknown> = Promise.resolve()

  constructor(o: ProposingOptions) {
    this.#o = o
  }

  /** Whether everything that was proposed has been accepted or dropped. */
  get isSettled(): boolean {
    return this.#isSettled
  }

  /** Runs work during which nothing is proposed or settled. */
  exclusively<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work)
    this.#turn = done.catch(() => undefined)
    return done
  }

  /**
   * What was proposed and has no answer: it is the end of what the broker has seen, or it was not taken. Of a proposal that
   * others have gone on from, they have the decisions.
   */
  settle(lease: SpaceLeaseRecord): Promise<void> {
    return this.exclusively(async () => {
      if (this.#isSettled) return
      const { clone, authority, selfId } = this.#o
      const proposal = await clone.proposal()
      const last = proposal?.events.at(-1)
      if (proposal !== null && last?.event_id === lease.head.event_id) await clone.accept(proposal)
      // As long as the lease is the one that it was sent under, it may still be on its way.
      else if (proposal !== null && lease.holder === selfId && lease.epoch !== authority.epoch) return
      else if (proposal !== null) await clone.drop()
      this.#isSettled = true
    })
  }

  /** @throws MeshError `lease_lost` when it was not appended, or may have been, and what `Proposals.propose` refuses it for */
  append(append: PlannedAppend): Promise<readonly DecisionEvent[]> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ ...append, resolve, reject })
      if (this.#isPumping) return
      this.#isPumping = true
      // After the requests of this turn; while a batch is on its way, the next one gathers.
      setImmediate(() => void this.#pump())
    })
  }

  async #pump(): Promise<void> {
    while (this.#queue.length > 0) {
      const batch = this.#queue.splice(0, decideBatchMax)
      try {
        await this.exclusively(() => this.#appendBatch(batch))
      } catch (error) {
        for (const { reject } of batch) reject(error)
      }
    }
    this.#isPumping = false
  }

  /** Whoever there is no room for goes first in the next batch. */
  async #appendBatch(batch: readonly Waiter[]): Promise<void> {
    const { clone, authority, bytesMax } = this.#o
    const { epoch } = authority
    if (epoch === null || !this.#isSettled) throw leaseLost(this.#o.clone.name)
    const { seq: after, event_id: afterId } = await clone.end()
    const { proposal, outcomes } = await clone.propose(batch, bytesMax())
    const drawn: { readonly waiter: Waiter; readonly events: readonly DecisionEvent[] }[] = []
    const left: Waiter[] = []
    for (const [place, waiter] of batch.entries()) {
      const outcome = outcomes[place]
      if (outcome?.kind === 'refused') waiter.reject(outcome.error)
      else if (outcome?.kind === 'repeated') waiter.resolve(outcome.events)
      else if (outcome?.kind === 'drawn') drawn.push({ waiter, events: outcome.events })
      else left.push(waiter)
    }
    this.#queue.unshift(...left)
    if (proposal === null) return
    await this.#bring(proposal, { epoch, after, afterId })
    for (const { waiter, events } of drawn) waiter.resolve(structuredClone(events))
    this.#o.wakes.wake()
  }

  /** @throws MeshError `lease_lost` when the broker did not take it, or may have */
  async #bring(proposal: Proposal, o: { epoch: number; after: number; afterId: string | null }): Promise<void> {
    const { clone, authority, transmit, signal } = this.#o
    const { encodeEvent } = await import('@claudemesh/decisions')
    const body = Buffer.concat(proposal.events.map((event) => encodeEvent(event))).toString('utf8')
    const about = { v: 1, space: this.#o.clone.name, after: o.after, after_id: o.afterId } as const
    this.#isSettled = false
    const mail: SpaceMail = { kind: '$decision_events', about, body }
    try {
      crashPoint('daemon.decide.proposed')
      const isTaken = await transmit({ proposal, epoch: o.epoch, after: o.after, mail }, signal)
      if (!isTaken) throw leaseLost(this.#o.clone.name)
      crashPoint('daemon.decide.appended')
      await clone.accept(proposal)
      this.#isSettled = true
    } catch (error) {
      // Whether it was taken is found out before anything else is proposed.
      authority.lost()
      throw signal.aborted ? leaseLost(this.#o.clone.name) : error
    }
  }
}

function leaseLost(space: string): MeshError {
  return new MeshError('lease_lost', { data: { space } })
}
