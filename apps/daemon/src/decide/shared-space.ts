/**
 * One space that members of the mesh share: one append authority over all of their hosts (07 §4).
 *
 * 1. Whoever holds the lease at the broker appends: what is proposed is durable here, then accepted by the broker for every
 *    follower, and only then in the log and answered.
 * 2. Who does not hold it has the holder append, by an intent that it repeats until its own log has the decision: what was
 *    answered can be read here. An intent keeps its id wherever it goes, so that it is decided once.
 * 3. A lease is taken over by a member that has all that the broker has seen, and by no other.
 * 4. What a crash or a lost answer leaves undecided is settled by the broker's head before anything else is proposed.
 * 5. A log that is another one than the shared one is told of, and nothing is added to it. It is compared again when somebody
 *    decides here, when decisions come that do follow, when the link opens, and when an operator has changed the log.
 */
import type { DecisionEvent, PlannedAppend } from '@claudemesh/decisions'
import { type ErrorCode, MeshError, type SpaceLeaseRecord, type SpaceMail, toProblem } from '@claudemesh/protocol'
import type { SharedSpaceView } from '@claudemesh/protocol/spaces'
import type { Log } from '../log.ts'
import { PacedWork } from '../paced-work.ts'
import { decideLookMs, decideRepeatMs, decideWaitMsMax } from '../space-limits.ts'
import type { Authority } from './authority.ts'
import type { CatchUp } from './catch-up.ts'
import { Divergence } from './divergence.ts'
import type { Proposing } from './proposing.ts'
import type { SpaceClone } from './space-clone.ts'
import type { Wakes } from './wakes.ts'

export interface SharedSpaceOptions {
  readonly clone: SpaceClone
  readonly authority: Authority
  readonly catchUp: CatchUp
  readonly proposing: Proposing
  readonly wakes: Wakes
  readonly send: (memberId: string, mail: SpaceMail) => Promise<void>
  readonly selfId: string
  /** Bytes of one message. */
  readonly bytesMax: () => number
  readonly nameOf: (memberId: string) => string | null
  readonly monotonicMs: () => number
  readonly random: () => number
  readonly log: Log
  /** Ends every wait. */
  readonly signal: AbortSignal
}

/** Failures that the same append may get past in a moment, with this holder or the next one. */
const passing: ReadonlySet<ErrorCode> = new Set([
  ...(['lease_lost', 'lease_held', 'space_busy', 'space_waiting'] as const),
  ...(['broker_unavailable', 'timeout', 'daemon_busy', 'rate_limited', 'storage_unavailable'] as const),
])

export class SharedSpace {
  readonly name: string
  readonly #o: SharedSpaceOptions
  readonly #following: PacedWork
  /** Intents that somebody here waits for, and why the holder does not append them; null: it has not said that it does not. */
  readonly #awaited = new Map<string, MeshError | null>()
  readonly #divergence: Divergence
  #standing: Promise<SpaceLeaseRecord> | null = null
  /** What somebody waits for at this moment. */
  #waitsFor: string | null = null

  constructor(o: SharedSpaceOptions) {
    this.name = o.clone.name
    this.#o = o
    this.#divergence = new Divergence({ space: this.name, follow: () => this.#follow(), log: o.log })
    const round = async () => {
      // Of another log nothing is fetched before something changes.
      if (this.#divergence.error === null) await this.#follow()
      else await this.#divergence.compare().catch(ignoreRefusal)
      return null
    }
    this.#following = new PacedWork({ round, random: o.random, name: 'follow a space', log: o.log })
  }

  /** As far as the broker has told. */
  get status(): SharedSpaceView {
    const { authority, nameOf } = this.#o
    const { latest } = authority
    const holder = latest?.holder ?? null
    return {
      holder,
      holder_name: holder === null ? null : nameOf(holder),
      is_own: authority.epoch !== null,
      epoch: latest?.epoch ?? 0,
      head: latest?.head.seq ?? null,
      waits_for: this.#divergence.error?.message ?? this.#waitsFor,
    }
  }

  /** @throws MeshError `space_waiting`, `space_diverged`, and what `Spaces.append` throws */
  async append(append: PlannedAppend): Promise<readonly DecisionEvent[]> {
    const { selfId, monotonicMs, wakes, signal } = this.#o
    checkActors(append, selfId)
    const { intentId } = append.o
    await this.#divergence.compare()
    const until = monotonicMs() + decideWaitMsMax
    const sent = { epoch: 0, at: 0 }
    this.#awaited.set(intentId, null)
    try {
      for (;;) {
        if (this.#divergence.error !== null) throw this.#divergence.error
        const refusal = this.#awaited.get(intentId) ?? null
        if (refusal !== null) throw refusal
        const failure = await this.#attempt(append, sent).catch((error: unknown) => passingOrThrow(error))
        if (failure !== null && !(failure instanceof MeshError)) return failure
        if (failure !== null) this.#waitsFor = failure.message
        if (monotonicMs() > until || signal.aborted) throw this.#waiting(failure)
        await wakes.next(decideLookMs)
      }
    } finally {
      this.#awaited.delete(intentId)
      this.#waitsFor = null
    }
  }

  /** Something may have been missed: what the broker has seen is asked for until it is here. */
  follow(): void {
    this.#following.retry()
  }

  /** Decisions that were made elsewhere. @throws MeshError what `Proposals.apply` throws */
  async take(place: { readonly after: number; readonly after_id: string | null }, events: readonly DecisionEvent[]) {
    const { clone, wakes } = this.#o
    const follows = await this.#o.proposing.exclusively(() =>
      clone.apply({ after: place.after, afterId: place.after_id }, events),
    )
    wakes.wake()
    if (!follows || this.#divergence.error !== null) this.follow()
  }

  /** What another member wants appended. Who is not answered asks again. */
  async takeIntent(sender: string, epoch: number, append: PlannedAppend): Promise<void> {
    if (this.#o.authority.epoch !== epoch) return
    try {
      checkActors(append, sender)
      await this.#o.proposing.append(append)
    } catch (error) {
      if (!(error instanceof MeshError)) throw error
      if (passing.has(error.code)) return
      const about = { v: 1, space: this.name, intent_id: append.o.intentId } as const
      await this.#o.send(sender, { kind: '$decision_refusal', about, body: JSON.stringify(toProblem(error)) })
    }
  }

  /**
   * Sends what a follower is missing. One whose log is another one is sent what is here in the place of its last decision: so it
   * learns of that.
   */
  async answer(peer: string, place: { readonly after: number; readonly after_id: string | null }): Promise<void> {
    const { clone, send, bytesMax } = this.#o
    const { seq } = await clone.end()
    if (seq < place.after) return
    const isSame = (await clone.idAt(place.after)) === place.after_id
    if (isSame && seq === place.after) return
    const after = isSame ? place.after : place.after - 1
    const about = { v: 1, space: this.name, after, after_id: await clone.idAt(after) } as const
    await send(peer, { kind: '$decision_events', about, body: await clone.linesAfter(after, bytesMax()) })
  }

  takeRefusal(sender: string, intentId: string, error: MeshError): void {
    if (sender !== this.#o.authority.latest?.holder || !this.#awaited.has(intentId)) return
    this.#awaited.set(intentId, error)
    this.#o.wakes.wake()
  }

  /** The log here is not the one that is shared. */
  diverge(error: MeshError): void {
    this.#divergence.found(error)
    void this.#o.authority.release()
    this.#o.wakes.wake()
  }

  /** Gives the lease up when what is under way has ended. */
  async stop(): Promise<void> {
    this.#o.wakes.wake()
    await this.#following.stop()
    await this.#o.proposing.exclusively(() => Promise.resolve())
    await this.#o.authority.release()
  }

  // ---- one attempt -------------------------------------------------------------------------------------------------

  /** @returns the events; null when the holder has been asked */
  async #attempt(append: PlannedAppend, sent: { epoch: number; at: number }): Promise<readonly DecisionEvent[] | null> {
    const { clone, authority, monotonicMs, nameOf } = this.#o
    const known = await clone.answerOf(append)
    if (known !== null) return known
    const { holder, epoch } = await this.#inStep()
    if (authority.epoch !== null) return this.#o.proposing.append(append)
    if (holder === null) return null
    this.#waitsFor = `${nameOf(holder) ?? holder} holds the space, and has not answered`
    if (sent.epoch === epoch && monotonicMs() - sent.at < decideRepeatMs) return null
    await this.#sendIntent(holder, epoch, append)
    Object.assign(sent, { epoch, at: monotonicMs() })
    return null
  }

  #sendIntent(holder: string, epoch: number, { drafts, o }: PlannedAppend): Promise<void> {
    const about = {
      ...({ v: 1, space: this.name, epoch, intent_id: o.intentId } as const),
      ...(o.expectHead === undefined ? {} : { expect_head: o.expectHead }),
    }
    return this.#o.send(holder, { kind: '$decision_intent', about, body: JSON.stringify(drafts) })
  }

  #waiting(cause: MeshError | null): MeshError {
    const { latest } = this.#o.authority
    const waitsFor = cause?.message ?? this.#waitsFor ?? 'the broker has not answered'
    return new MeshError('space_waiting', {
      detail: `Not decided within ${decideWaitMsMax / 1000} s: ${waitsFor}`,
      data: { space: this.name, holder: latest?.holder ?? null, epoch: latest?.epoch ?? null },
      ...(cause === null ? {} : { cause }),
    })
  }

  // ---- the lease ---------------------------------------------------------------------------------------------------

  /** Whoever has the lease, after this member has tried to have it, and what the broker has seen is here. */
  #inStep(): Promise<SpaceLeaseRecord> {
    const { epoch, latest } = this.#o.authority
    if (epoch !== null && latest !== null && this.#o.proposing.isSettled) return Promise.resolve(latest)
    this.#standing ??= this.#getInStep().finally(() => {
      this.#standing = null
    })
    return this.#standing
  }

  async #getInStep(): Promise<SpaceLeaseRecord> {
    const { clone, authority, catchUp } = this.#o
    const lease = await this.#follow()
    if (this.#isOthers(lease) || authority.epoch !== null) return lease
    const answer = await authority.acquire(await clone.end())
    if (!answer.granted) return answer.lease
    try {
      // From now on nothing that this member sent under an earlier lease can be accepted any more.
      await this.#o.proposing.settle(answer.lease)
      await catchUp.reach(answer.lease)
    } catch (error) {
      await authority.release()
      throw error
    }
    return answer.lease
  }

  /** Gets what the broker has seen. */
  async #follow(): Promise<SpaceLeaseRecord> {
    const { clone, authority, catchUp, proposing, wakes } = this.#o
    const lease = await authority.look()
    await this.#checkLine(lease, (await clone.end()).seq)
    await proposing.settle(lease)
    await catchUp.reach(lease)
    wakes.wake()
    return lease
  }

  #isOthers({ holder, expires_in_ms: expiresInMs }: SpaceLeaseRecord): boolean {
    return holder !== null && holder !== this.#o.selfId && expiresInMs > 0
  }

  async #checkLine({ head }: SpaceLeaseRecord, seq: number): Promise<void> {
    if (head.seq === 0 || head.seq > seq) return
    if ((await this.#o.clone.idAt(head.seq)) === head.event_id) return
    const { diverged } = await import('@claudemesh/decisions')
    const error = diverged(this.name, head.seq)
    this.diverge(error)
    throw error
  }
}

/** A decision is of the member that makes it: nobody decides in the name of another one. */
function checkActors({ drafts }: PlannedAppend, memberId: string): void {
  const other = drafts.find(({ actor }) => actor !== memberId)
  if (other === undefined) return
  throw new MeshError('invalid_decision', {
    detail: `In a space that is shared the actor is the member that decides, ${memberId}, and not ${other.actor}.`,
    data: { path: '$.actor' },
  })
}

/** Whoever decides is told of it. */
function ignoreRefusal(error: unknown): void {
  if (!(error instanceof MeshError)) throw error
}

function passingOrThrow(error: unknown): MeshError {
  if (error instanceof MeshError && passing.has(error.code)) return error
  throw error
}
