/**
 * What the daemon does for its store of artifacts by itself (06 §13): it marks packages that are past their expiry, collects
 * what may go, ends uploads that nobody goes on with, reads everything again within a byte rate, and measures it. Nothing of
 * that is done, and nothing loaded for it, where there is no store.
 */
import type { RetentionClock } from '@claudemesh/storage'
import {
  artifactsCollectMs,
  artifactsScrubMs,
  artifactsUpkeepMs,
  housekeepingIntervalMs,
  scrubObjectsMax,
} from '../limits.ts'
import type { Log } from '../log.ts'
import type { Runtime } from '../runtime.ts'
import type { ArtifactRoom } from './artifact-room.ts'
import type { ArtifactStore } from './artifact-store.ts'

export interface ArtifactUpkeepOptions {
  readonly store: ArtifactStore
  readonly room: ArtifactRoom
  /** Bytes a second; null: nothing is read again. */
  readonly scrubRate: () => number | null
  readonly clock: Pick<RetentionClock, 'now'>
  readonly runtime: Runtime
  readonly log: Log
}

/** In the log of events: nobody asked for it. */
const actor = 'local'

export class ArtifactUpkeep {
  readonly #o: ArtifactUpkeepOptions
  readonly #stopped = new AbortController()
  #timer: NodeJS.Timeout | null = null
  #round: Promise<void> | null = null
  #scrubbing: Promise<void> | null = null
  /** By the monotonic clock; the first round comes with the first tick. */
  #nextRoundMs = Number.NEGATIVE_INFINITY
  #nextScrubMs = Number.NEGATIVE_INFINITY
  #nextCollectionMs: number

  constructor(o: ArtifactUpkeepOptions) {
    this.#o = o
    // Not at once: who starts daemons all day does not have all of the store listed each time.
    this.#nextCollectionMs = o.runtime.monotonicMs() + artifactsUpkeepMs
  }

  start(): void {
    if (this.#o.store.isFounded) void this.#measure()
    this.#timer = setInterval(() => void this.tick(), housekeepingIntervalMs)
  }

  /** What is under way is not waited for: the store ends it when it is closed, and the next start goes on. */
  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer)
    this.#timer = null
    this.#stopped.abort()
  }

  /** Does what is due, each thing once at a time. Resolves when it is done. */
  async tick(): Promise<void> {
    const { store, runtime } = this.#o
    if (!store.isFounded || this.#stopped.signal.aborted) return
    const now = runtime.monotonicMs()
    if (now >= this.#nextRoundMs) {
      this.#nextRoundMs = now + artifactsUpkeepMs
      this.#round ??= this.#lookAfter(now).finally(() => {
        this.#round = null
      })
    }
    if (now >= this.#nextScrubMs) {
      this.#scrubbing ??= this.#scrub().finally(() => {
        this.#scrubbing = null
      })
    }
    await Promise.all([this.#round, this.#scrubbing])
  }

  /**
   * Marks packages that are past their expiry, by a clock that does not believe in leaps.
   *
   * @returns ids of those that were marked
   */
  async sweep(by: string): Promise<readonly string[]> {
    const now = this.#o.clock.now()
    return this.#o.store.use((registry) => registry.sweepRetention(now, { actor: by }))
  }

  async #lookAfter(now: number): Promise<void> {
    const { store } = this.#o
    await this.#step('uploads', async () => {
      const ended = await store.use((registry) => registry.sweepUploads())
      return ended === 0 ? null : { ended }
    })
    await this.#step('sweep', async () => {
      const marked = await this.sweep(actor)
      if (marked.length > 0) this.#nextCollectionMs = now
      return marked.length === 0 ? null : { marked: marked.length }
    })
    if (now >= this.#nextCollectionMs) {
      this.#nextCollectionMs = now + artifactsCollectMs
      await this.#step('gc', async () => {
        const { packages, objects } = await store.use((registry) => registry.gc({ actor }))
        return packages.length + objects.length === 0 ? null : { packages: packages.length, objects: objects.length }
      })
    }
    await this.#measure()
  }

  #measure(): Promise<void> {
    return this.#step('measure', async () => {
      await this.#o.room.measure()
      return null
    })
  }

  async #scrub(): Promise<void> {
    const { store, runtime, scrubRate } = this.#o
    const bytesPerSecond = scrubRate()
    // Also after a failure: what cannot be read is not tried again every minute.
    this.#nextScrubMs = runtime.monotonicMs() + artifactsScrubMs
    if (bytesPerSecond === null) return
    await this.#step('scrub', async () => {
      const { signal } = this.#stopped
      const options = { actor, bytesPerSecond, objectsMax: scrubObjectsMax, signal }
      const { objects, changed } = await store.use((registry) => registry.scrub(options))
      // There is more than one turn reads: the next goes on with the next tick.
      if (objects === scrubObjectsMax) this.#nextScrubMs = Number.NEGATIVE_INFINITY
      return changed.length === 0 ? null : { objects, changed: changed.length }
    })
  }

  /** @param run says what is worth a line in the log */
  async #step(name: string, run: () => Promise<Readonly<Record<string, number>> | null>): Promise<void> {
    const { log } = this.#o
    if (this.#stopped.signal.aborted) return
    try {
      const done = await run()
      if (done !== null) log.info({ step: name, ...done }, 'artifacts_upkeep')
    } catch (error) {
      // It comes again with its next turn; the other steps are done meanwhile.
      if (!this.#stopped.signal.aborted) log.error({ step: name, err: error }, 'artifacts_upkeep_failed')
    }
  }
}
