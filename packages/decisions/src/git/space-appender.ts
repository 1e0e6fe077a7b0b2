/**
 * Appends to one space in a repository (07 §3).
 *
 * 1. Callers that come together share one pack and one change of the ref. Objects first, then the ref; an append is
 *    fulfilled when both and the directories they are in are on the disk.
 * 2. The change compares the branch with what was read: whoever else has appended meanwhile is read first, and the events
 *    are drawn anew. There is never a second line.
 * 3. An intent that is in the log is answered from it, after the branch was synced: who wrote it may have died before.
 * 4. The change compares the lease of the space with the one that the caller holds: who was replaced while it slept appends
 *    nothing, whatever its clock says (07 §4). Without a lease nobody may hold one.
 * 5. A caller that is refused has appended nothing, and takes nobody who shares the batch with it along.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { MeshError } from '@claudemesh/protocol'
import type { AppendOptions } from '../decision-log.ts'
import { type DecisionDraft, type DecisionEvent, encodeEvent } from '../event.ts'
import type { Runtime } from '../runtime.ts'
import { makeEventCommit } from './event-commit.ts'
import type { GitObject } from './git-object.ts'
import type { GitSpace } from './git-space.ts'
import type { HeldLease, LeaseChange, Leases } from './leases.ts'
import type { PackWriter } from './pack-writer.ts'
import { planAppends } from './plan-appends.ts'
import type { RefOutcome, RefStep, RefWriter } from './ref-writer.ts'
import type { Repository } from './repository.ts'

/** What an appender writes through. */
export interface AppendTarget {
  readonly repository: Repository
  readonly packs: PackWriter
  readonly refs: RefWriter
  readonly leases: Leases
  readonly runtime: Runtime
}

/** An append of whoever holds the lease of the space, or of anybody while nobody does. */
export interface GitAppendOptions extends AppendOptions {
  readonly lease?: HeldLease
}

interface Waiter {
  /** As `checkAppend` gives them. */
  readonly drafts: readonly DecisionDraft[]
  readonly o: GitAppendOptions
  /** Makes a batch of its own. */
  readonly change: LeaseChange | null
  readonly resolve: (events: readonly DecisionEvent[]) => void
  readonly reject: (error: unknown) => void
}

/** What is answered to one caller once the batch is committed. */
interface Planned {
  readonly waiter: Waiter
  readonly events: readonly DecisionEvent[]
}

interface Plan {
  readonly planned: readonly Planned[]
  /** The new events, in order. */
  readonly drawn: readonly DecisionEvent[]
  /** Whether somebody is answered with events that were there before. */
  readonly repeats: boolean
}

const batchDraftsMax = 4_096
/** How long it is tried when others append at the same time, or hold the lock of the branch. */
const contentionMsMax = 15_000
const contentionPauseMs = 20

export class SpaceAppender {
  readonly #space: GitSpace
  readonly #target: AppendTarget
  #waiting: Waiter[] = []
  #scheduled = false

  constructor(space: GitSpace, target: AppendTarget) {
    this.#space = space
    this.#target = target
  }

  /** @param drafts as `checkAppend` gives them */
  append(
    drafts: readonly DecisionDraft[],
    o: GitAppendOptions,
    change: LeaseChange | null = null,
  ): Promise<readonly DecisionEvent[]> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ drafts, o, change, resolve, reject })
      if (this.#scheduled) return
      this.#scheduled = true
      // After the requests of this turn have been read; while a batch is on its way, the next one gathers.
      setImmediate(() => void this.#space.exclusively(() => this.#run()))
    })
  }

  async #run(): Promise<void> {
    this.#scheduled = false
    const batch = this.#takeBatch()
    if (this.#waiting.length > 0) {
      this.#scheduled = true
      void this.#space.exclusively(() => this.#run())
    }
    try {
      const planned = await this.#commit(batch)
      for (const { waiter, events } of planned) waiter.resolve(events)
    } catch (error) {
      this.#space.forget()
      for (const { reject } of batch) reject(error)
    }
  }

  #takeBatch(): readonly Waiter[] {
    const [first] = this.#waiting
    let drafts = 0
    const end = this.#waiting.findIndex((waiter, place) => {
      drafts += waiter.drafts.length
      const isApart = waiter.o.lease !== first?.o.lease || waiter.change !== null || first?.change !== null
      return place > 0 && (isApart || drafts > batchDraftsMax)
    })
    return this.#waiting.splice(0, end === -1 ? this.#waiting.length : end)
  }

  /** @returns the answers; who is not among them was refused already */
  async #commit(batch: readonly Waiter[]): Promise<readonly Planned[]> {
    const until = performance.now() + contentionMsMax
    const change = batch[0]?.change ?? null
    for (;;) {
      const lease = change ?? (await this.#target.leases.fence(this.#space.name, batch[0]?.o.lease ?? null))
      this.#space.settle()
      await this.#space.ready()
      if (this.#space.damage !== null) throw this.#space.damage
      const plan = await this.#plan(batch)
      if (plan.drawn.length === 0 && (change === null || plan.planned.length === 0)) {
        if (plan.repeats) this.#target.refs.sync(this.#space.ref)
        return plan.planned
      }
      const outcome = await this.#write(plan.drawn, lease, change)
      if (outcome.kind === 'committed') return plan.planned
      if (change !== null) await this.#target.leases.checkUnchanged(this.#space.name, change.from)
      this.#space.forget()
      if (performance.now() > until) throw contended(this.#space.name, outcome)
      await pause(contentionPauseMs * Math.random())
    }
  }

  async #plan(batch: readonly Waiter[]): Promise<Plan> {
    const { outcomes, drawn } = await planAppends(this.#space, batch, this.#target)
    const planned: Planned[] = []
    let repeats = false
    for (const [place, waiter] of batch.entries()) {
      const outcome = outcomes[place]
      if (outcome?.kind === 'refused') waiter.reject(outcome.error)
      if (outcome?.kind !== 'drawn' && outcome?.kind !== 'repeated') continue
      planned.push({ waiter, events: outcome.events })
      repeats ||= outcome.kind === 'repeated'
    }
    return { planned, drawn, repeats }
  }

  /** The log first: what a crash between the two leaves is a note of a lease that was not granted (07 §4). */
  async #write(drawn: readonly DecisionEvent[], fence: RefStep, change: LeaseChange | null): Promise<RefOutcome> {
    const { repository, packs, refs } = this.#target
    const { ref, head } = this.#space
    const { objects, commits } = commitsOf(repository, drawn, head)
    const pack = await packs.write([...objects, ...(change === null ? [] : [change.object])])
    const to = commits.at(-1)
    const log: readonly RefStep[] = to === undefined ? [] : [{ ref, from: head, to }]
    const lease = change === null ? fence : { ref: change.ref, from: change.from, to: change.object.id.toString('hex') }
    try {
      const outcome = await refs.change([...log, lease])
      if (outcome.kind === 'committed') this.#space.append(drawn, commits)
      return outcome
    } finally {
      await pack.release()
    }
  }
}

/** The objects of events that follow a commit, and the id of the commit of each. */
export function commitsOf(
  { format }: Repository,
  events: readonly DecisionEvent[],
  head: string | null,
): { readonly objects: readonly GitObject[]; readonly commits: readonly string[] } {
  const objects: GitObject[] = []
  const commits: string[] = []
  let parent: Buffer | null = head === null ? null : Buffer.from(head, 'hex')
  for (const event of events) {
    const { commit, tree, blob } = makeEventCommit(event, encodeEvent(event), { format, parent })
    objects.push(commit, tree, blob)
    commits.push(commit.id.toString('hex'))
    parent = commit.id
  }
  return { objects, commits }
}

function contended(space: string, outcome: RefOutcome): MeshError {
  const why = outcome.kind === 'locked' ? `${outcome.lockPath} is there` : 'others append to it all the time'
  return new MeshError('space_busy', { detail: `Nothing could be appended to ${space}: ${why}.` })
}
