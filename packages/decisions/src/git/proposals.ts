/**
 * Appends to a space that is shared by repositories: what is appended here is decided elsewhere (07 §4).
 *
 * 1. A proposal is durable before anybody is asked: its commits are in the repository, and `refs/claudemesh/proposed/<space>`
 *    leads to them. The branch moves there when it was accepted. Killed in between, it is found again.
 * 2. There is one proposal at a time, and it follows the branch. One that the branch has is over, and one that does not follow
 *    the branch any more was dropped.
 * 3. What was decided elsewhere is applied as it is, in order and without a gap, once: equal events are equal commits, so
 *    that every repository has the same line.
 * 4. All of it is done under the lease of the space in this repository: nobody else appends here meanwhile.
 */
import { MeshError } from '@claudemesh/protocol'
import type { DecisionEvent } from '../event.ts'
import { repeatedIntent } from '../space-line.ts'
import { listCommits, readEvents } from './commit-chain.ts'
import type { GitSpace } from './git-space.ts'
import type { HeldLease } from './leases.ts'
import type { ObjectReader } from './object-reader.ts'
import { type AppendPlan, type PlannedAppend, planAppends, readAll } from './plan-appends.ts'
import type { RefStep } from './ref-writer.ts'
import { type AppendTarget, commitsOf } from './space-appender.ts'

/** Events that follow the branch of a space, and that it does not have yet. */
export interface Proposal {
  readonly space: string
  /** The last one. Hexadecimal. */
  readonly commit: string
  readonly events: readonly DecisionEvent[]
}

/** Where events that were decided elsewhere follow. */
export interface Place {
  /** The number of the event before the first one; 0 for the beginning. */
  readonly after: number
  /** Its id; null for the beginning. */
  readonly afterId: string | null
}

interface ProposalParts {
  readonly spaceOf: (name: string) => GitSpace
  readonly target: AppendTarget
  readonly reader: ObjectReader
  /** The branch of a space has got these events. */
  readonly moved: (space: GitSpace, events: readonly DecisionEvent[]) => Promise<void>
}

export class Proposals {
  readonly #p: ProposalParts

  constructor(parts: ProposalParts) {
    this.#p = parts
  }

  /**
   * Draws the events of appends and keeps them as a proposal. Who was `drawn` is answered when it was accepted.
   *
   * @param o `bytesMax`: of all events of the proposal in their written form
   * @returns a proposal of null when nothing is new
   * @throws MeshError `lease_lost`, `log_corrupt`, `history_rewritten`, `space_busy`, `insufficient_storage`, `storage_failed`
   */
  propose(
    name: string,
    appends: readonly PlannedAppend[],
    o: { readonly lease: HeldLease; readonly bytesMax: number },
  ): Promise<{ readonly proposal: Proposal | null; readonly outcomes: readonly AppendPlan[] }> {
    return this.#change(name, o, async (space) => {
      const { runtime, refs } = this.#p.target
      const { outcomes, drawn } = await planAppends(space, appends, { runtime, bytesMax: o.bytesMax })
      if (outcomes.some(({ kind }) => kind === 'repeated')) refs.sync(space.ref)
      if (drawn.length === 0) return { proposal: null, outcomes }
      const from = await this.#proposed(name)
      const commit = await this.#write(space, drawn, (to) => ({ ref: refOf(name), from, to }), o.lease)
      return { proposal: { space: name, commit, events: drawn }, outcomes }
    })
  }

  /**
   * The events of an intent that was decided; null: it was not.
   *
   * @throws MeshError `intent_reused`, and what `propose` throws
   */
  answerOf(name: string, append: PlannedAppend, lease: HeldLease): Promise<readonly DecisionEvent[] | null> {
    return this.#change(name, { lease, keepsDrawn: true }, async (space) => {
      const numbers = space.line.findIntent(append.o.intentId)
      // What is only proposed may be dropped.
      if (numbers === null || (numbers.at(-1) ?? 0) > space.seq) return null
      this.#p.target.refs.sync(space.ref)
      return repeatedIntent(await readAll(space, numbers), append.drafts)
    })
  }

  /** What was proposed, and neither accepted nor dropped before this process ended; null: nothing. @throws as `propose` does */
  find(name: string, lease: HeldLease): Promise<Proposal | null> {
    return this.#change(name, { lease }, async (space) => {
      const commit = await this.#proposed(name)
      const { head, seq } = space.view()
      if (commit === null) return null
      const { repository } = this.#p.target
      const list = await listCommits(repository, { space: name, head: commit, without: head })
      // The branch has it already, or does not lead to where it follows.
      if (list.ids.length === 0 || list.parent !== head) return null
      const events: DecisionEvent[] = []
      const source = { repository, reader: this.#p.reader }
      for await (const part of readEvents(source, { space: name, seq: seq + 1, commits: list })) {
        events.push(...part.map(({ event }) => event))
      }
      return { space: name, commit, events }
    })
  }

  /** Moves the branch to what was proposed. @throws as `propose` does */
  accept({ space: name, events, commit }: Proposal, lease: HeldLease): Promise<void> {
    return this.#change(name, { lease, keepsDrawn: true }, async (space) => {
      const { head: from } = space
      const { commits } = commitsOf(this.#p.target.repository, events, from)
      if (commits.at(-1) !== commit) throw moved(name)
      // Unless it was proposed by this process, and nothing was read anew since.
      if (!space.isAhead) for (const event of events) space.line.admit(event)
      await this.#moveRef(name, { ref: space.ref, from, to: commit }, lease)
      space.append(events, commits)
      await this.#p.moved(space, events)
    })
  }

  /** Forgets what was proposed. @throws as `propose` does */
  drop(name: string, lease: HeldLease): Promise<void> {
    return this.#change(name, { lease }, async () => {
      const from = await this.#proposed(name)
      if (from !== null) await this.#moveRef(name, { ref: refOf(name), from, to: null }, lease)
    })
  }

  /**
   * Takes events that were decided elsewhere. Those that are here already are passed over.
   *
   * @returns whether they follow; false: what is before them is not here yet, and nothing was taken
   * @throws MeshError `space_diverged`: the log here is another one, `import_out_of_order`, `import_conflict`, a code of
   *   `encodeEvent`, and what `propose` throws
   */
  apply(name: string, { after, afterId }: Place, o: { events: readonly DecisionEvent[]; lease: HeldLease }) {
    return this.#change(name, o, async (space): Promise<boolean> => {
      if (after > space.seq) return false
      const known = await readIds(space, { after: after - 1, until: after + o.events.length })
      const told = [...(after === 0 ? [] : [afterId]), ...o.events.map((event) => event.event_id)]
      const differs = known.findIndex((id, place) => id !== told[place])
      if (differs !== -1) throw diverged(name, Math.max(after, 1) + differs)
      const fresh = o.events.slice(space.seq - after)
      if (fresh.length === 0) return true
      for (const event of fresh) space.line.admit(event)
      const { head: from } = space
      const to = await this.#write(space, fresh, (commit) => ({ ref: space.ref, from, to: commit }), o.lease)
      space.append(fresh, commitsOf(this.#p.target.repository, fresh, from).commits)
      if (to !== space.head) throw new Error('equal events have equal commits')
      await this.#p.moved(space, fresh)
      return true
    })
  }

  /** Under the lease, with the branch as it is; whatever fails leaves the space to be read anew. */
  #change<T>(
    name: string,
    { lease, keepsDrawn = false }: { readonly lease: HeldLease; readonly keepsDrawn?: boolean },
    run: (space: GitSpace) => Promise<T>,
  ): Promise<T> {
    const space = this.#p.spaceOf(name)
    return space.exclusively(async () => {
      try {
        await this.#p.target.leases.fence(name, lease)
        if (!keepsDrawn) space.settle()
        await space.ready()
        if (space.damage !== null) throw space.damage
        return await run(space)
      } catch (error) {
        space.forget()
        throw error
      }
    })
  }

  /** Where the last proposal is, whatever became of it. */
  async #proposed(name: string): Promise<string | null> {
    const [found] = await this.#p.reader.info([refOf(name)])
    return found?.id ?? null
  }

  /** @returns the commit of the last event */
  async #write(
    space: GitSpace,
    events: readonly DecisionEvent[],
    stepTo: (commit: string) => RefStep,
    lease: HeldLease,
  ): Promise<string> {
    const { repository, packs } = this.#p.target
    const { objects, commits } = commitsOf(repository, events, space.head)
    const commit = commits.at(-1)
    if (commit === undefined) throw new Error('there is an event to write')
    const pack = await packs.write(objects)
    try {
      await this.#moveRef(space.name, stepTo(commit), lease)
    } finally {
      await pack.release()
    }
    return commit
  }

  async #moveRef(name: string, step: RefStep, lease: HeldLease): Promise<void> {
    const outcome = await this.#p.target.leases.change(name, lease, [step])
    if (outcome.kind === 'locked') throw new MeshError('space_busy', { detail: `${outcome.lockPath} is there.` })
    if (outcome.kind === 'moved') throw moved(name)
  }
}

function refOf(space: string): string {
  return `refs/claudemesh/proposed/${space}`
}

/** The ids of events, as far as the space has them. */
async function readIds(space: GitSpace, o: { readonly after: number; readonly until: number }): Promise<string[]> {
  const ids: string[] = []
  const until = Math.min(o.until, space.seq)
  for await (const event of space.read(space.view(), { after: Math.max(o.after, 0), until })) ids.push(event.event_id)
  return ids
}

function moved(space: string): MeshError {
  return new MeshError('space_busy', { detail: `The refs of ${space} were changed by somebody else.` })
}

/** The error of a log that is not the one that was told of. @param seq of the first event that differs */
export function diverged(space: string, seq: number): MeshError {
  return new MeshError('space_diverged', {
    detail: `Decision ${seq} of ${space} is another one here than in the space that is shared under this name.`,
    data: { space, seq },
  })
}
