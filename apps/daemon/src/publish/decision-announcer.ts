/**
 * Turns decisions into `decision` of `/v1/events`: each once, in the order of its space, behind the last one that was
 * announced, also after a crash, and whichever process has decided.
 *
 * The place that a space has reached is named by the commit of its last announced decision: a branch that is still there
 * costs one comparison, however long its log is.
 */
import { stat } from 'node:fs/promises'
import type { DecisionEvent } from '@claudemesh/decisions'
import { MeshError } from '@claudemesh/protocol'
import { crashPoint } from '@claudemesh/storage'
import type { NewEvent } from '../events/events.ts'
import { publishBatchMax } from '../limits.ts'
import type { Log } from '../log.ts'
import { PacedWork } from '../paced-work.ts'
import { decisionsLookMs, decisionsSettledMs } from '../space-limits.ts'
import { isDamage } from '../spaces/reading.ts'
import type { Spaces } from '../spaces/spaces.ts'
import { decisionData } from './event-data.ts'
import type { EventSink } from './sources.ts'

export interface DecisionAnnouncerOptions {
  readonly spaces: Spaces
  readonly events: EventSink
  /** Milliseconds since the epoch. */
  readonly now: () => number
  readonly random: () => number
  readonly log: Log
}

export class DecisionAnnouncer {
  readonly #o: DecisionAnnouncerOptions
  readonly #work: PacedWork
  /** When the branches were last seen to have moved, once nothing can have moved at that time any more. */
  #seenAt: number | null = null
  /** Where a log was that cannot be read: nothing is tried until it moves. */
  readonly #unreadable = new Map<string, string>()

  constructor(o: DecisionAnnouncerOptions) {
    this.#o = o
    this.#work = new PacedWork({
      round: (signal) => this.#round(signal),
      random: o.random,
      name: 'announce',
      log: o.log,
    })
    o.spaces.onChange(() => {
      this.#seenAt = null
      this.#work.wake()
    })
  }

  /** Announces what an earlier process did not come to. */
  start(): void {
    this.#work.wake()
  }

  stop(): Promise<void> {
    return this.#work.stop()
  }

  async #round(signal: AbortSignal): Promise<number | null> {
    const { spaces, now } = this.#o
    // Whoever founds them wakes this.
    if (!spaces.isFounded) return null
    const directory = await spaces.use(async ({ log }) => log.branchDirectory)
    const movedAt = (await stat(directory).catch(() => null))?.mtimeMs ?? 0
    if (movedAt === this.#seenAt) return decisionsLookMs
    const heads = await spaces.use(({ log }) => log.heads())
    for (const [space, head] of heads) {
      if (signal.aborted) return null
      await this.#announce(space, head)
    }
    this.#seenAt = now() - movedAt > decisionsSettledMs ? movedAt : null
    return decisionsLookMs
  }

  /** @throws MeshError when the disk refuses */
  async #announce(space: string, head: string): Promise<void> {
    const { events, spaces, log } = this.#o
    const source = `space:${space}` as const
    const known = events.cursor(source)
    if (known?.generation === head || this.#unreadable.get(space) === head) return
    try {
      await spaces.use((logs) => this.#announceAfter(known?.position ?? 0, { logs, space, source }))
      this.#unreadable.delete(space)
    } catch (error) {
      if (!(error instanceof MeshError) || !isDamage(error)) throw error
      this.#unreadable.set(space, head)
      log.warn({ err: error, space }, 'decisions_not_announced')
    }
  }

  async #announceAfter(
    position: number,
    {
      logs,
      space,
      source,
    }: { logs: Parameters<Parameters<Spaces['use']>[0]>[0]; space: string; source: `space:${string}` },
  ): Promise<void> {
    const { events } = this.#o
    const { seq, oid } = await logs.head(space)
    const append = (batch: readonly DecisionEvent[], at: number) => {
      const told = batch.map((event): NewEvent => ({ type: 'decision', data: decisionData(event) }))
      // Before the last one no commit is named: the next round goes on by the number.
      events.append(told, { source, generation: at === seq ? (oid ?? '') : '', position: at })
      crashPoint('daemon.decision.announced')
    }
    // An operator has accepted a shorter history: nothing of it is new.
    if (position >= seq) return append([], seq)
    let batch: DecisionEvent[] = []
    for await (const event of logs.events(space, { after: position, until: seq })) {
      batch.push(event)
      if (batch.length < publishBatchMax && event.seq < seq) continue
      append(batch, event.seq)
      batch = []
    }
  }
}
