/**
 * Turns `share.fetched` of the store's log into `file_shared` of `/v1/events`: each once, behind the last one that was
 * announced, also after a crash.
 */
import type { Event, Share } from '@claudemesh/artifacts'
import { crashPoint } from '@claudemesh/storage'
import type { NewEvent } from '../events/events.ts'
import { publishBatchMax } from '../limits.ts'
import type { Log } from '../log.ts'
import { PacedWork } from '../paced-work.ts'
import type { ShareStore } from './share-store.ts'
import { toShareView } from './views.ts'

export interface ShareAnnouncerOptions {
  readonly store: ShareStore
  readonly events: {
    append(events: readonly NewEvent[], cursor: { source: 'shares'; generation: string; position: number }): boolean
    cursor(source: 'shares'): { readonly generation: string; readonly position: number } | null
  }
  /** Member id of this host: a store may be that of several. */
  readonly selfId: string
  readonly nameOf: (memberId: string) => string | null
  readonly random: () => number
  readonly log: Log
}

export class ShareAnnouncer {
  readonly #o: ShareAnnouncerOptions
  readonly #work: PacedWork

  constructor(o: ShareAnnouncerOptions) {
    this.#o = o
    this.#work = new PacedWork({ round: () => this.#round(), random: o.random, name: 'announce', log: o.log })
  }

  /** Announces what an earlier process did not come to. */
  start(): void {
    if (this.#o.store.isFounded) this.#work.wake()
  }

  wake(): void {
    this.#work.wake()
  }

  stop(): Promise<void> {
    return this.#work.stop()
  }

  async #round(): Promise<number | null> {
    const { store, events, selfId, nameOf } = this.#o
    const { generation, fetched, shares } = await store.use(async (registry) => {
      const generation = registry.registryId
      const known = events.cursor('shares')
      const since = known?.generation === generation ? known.position : 0
      const filter = { type: 'v1.share.fetched', actor: selfId, since, limit: publishBatchMax }
      const fetched = await registry.auditLog(filter)
      const shares = await Promise.all(fetched.map(({ subject_id }: Event) => registry.shares.find(subject_id)))
      return { generation, fetched, shares }
    })
    const last = fetched.at(-1)
    if (last === undefined) return null
    const batch = shares.map((share: Share): NewEvent => ({ type: 'file_shared', data: toShareView(share, nameOf) }))
    events.append(batch, { source: 'shares', generation, position: last.sequence })
    crashPoint('daemon.share.announced')
    return fetched.length === publishBatchMax ? 0 : null
  }
}
