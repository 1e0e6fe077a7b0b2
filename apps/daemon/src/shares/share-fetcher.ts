/**
 * Fetches what others share (06 §17): at once up to a size, everything else when somebody asks for it.
 *
 * 1. A share is fetched by one at a time; who asks meanwhile waits for the same. An attempt that failed can be made again.
 * 2. `share.fetched` is recorded when the package is finalized, not before; then the key is forgotten.
 * 3. One that turned out corrupt or is gone is not tried again by itself in this process.
 */
import type { Share } from '@claudemesh/artifacts'
import { MeshError } from '@claudemesh/protocol'
import { crashPoint } from '@claudemesh/storage'
import { sharesPerRound } from '../limits.ts'
import type { Log } from '../log.ts'
import { PacedWork } from '../paced-work.ts'
import type { Runtime } from '../runtime.ts'
import type { BlobRelay } from './blob-relay.ts'
import { PackageFetcher } from './package-fetcher.ts'
import type { ShareRoom, ShareStore } from './share-store.ts'

export interface ShareFetcherOptions {
  readonly store: ShareStore
  readonly room: ShareRoom
  readonly relay: BlobRelay
  /** Bytes up to which a share is fetched without being asked for; less than 0: nothing is, for now. */
  readonly autoFetchBytesMax: () => number
  /** Member id of this host. */
  readonly selfId: string
  readonly runtime: Runtime
  /** A share was fetched. */
  readonly onFetched: () => void
  readonly log: Log
}

export class ShareFetcher {
  readonly #o: ShareFetcherOptions
  readonly #packages: PackageFetcher
  readonly #work: PacedWork
  /** Of this process. */
  readonly totals = { fetched: 0, not_fetched: 0 }
  readonly #stopping = new AbortController()
  readonly #underWay = new Map<string, Promise<Share>>()
  /** Shares that cannot be fetched. */
  readonly #failed = new Set<string>()

  constructor(o: ShareFetcherOptions) {
    this.#o = o
    this.#packages = new PackageFetcher(o)
    const { random } = o.runtime
    this.#work = new PacedWork({ round: () => this.#round(), random, name: 'fetch', log: o.log })
  }

  /** Why shares are not fetched for now; null: they are. */
  get failure(): MeshError | null {
    return this.#work.failure
  }

  /** Goes on with what an earlier process began. */
  start(): void {
    if (this.#o.store.isFounded) this.#work.wake()
  }

  /** There may be new shares. */
  wake(): void {
    this.#work.wake()
  }

  linkOpened(): void {
    if (this.#o.store.isFounded) this.#work.retry()
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#work.stop()
    await Promise.allSettled(this.#underWay.values())
  }

  /**
   * Fetches a share, if it is not here.
   *
   * @throws MeshError `share_not_found`, `share_expired`, `share_corrupt`, and what the store and the relay throw
   */
  fetch(shareId: string): Promise<Share> {
    if (this.#stopping.signal.aborted) return Promise.reject(new MeshError('shutting_down'))
    let fetching = this.#underWay.get(shareId)
    if (fetching === undefined) {
      fetching = this.#fetch(shareId).finally(() => this.#underWay.delete(shareId))
      this.#underWay.set(shareId, fetching)
    }
    return fetching
  }

  async #fetch(shareId: string): Promise<Share> {
    const { store, selfId: actor, runtime, log, onFetched } = this.#o
    const { signal } = this.#stopping
    const incoming = await store.use(({ shares }) => shares.incoming(shareId))
    const { share, key } = incoming
    if (share.status === 'fetched') return share
    if (share.status === 'revoked' || key === null) throw expired('The share was revoked')
    if (share.expiresAt !== null && share.expiresAt <= runtime.now()) throw expired('The time of the share is over')
    const fetched = await this.#download(incoming, key)
    crashPoint('daemon.share.finalized')
    await store.use(({ shares }) => shares.fetched(shareId, { ...fetched, actor }))
    crashPoint('daemon.share.fetched')
    this.totals.fetched += 1
    log.info({ share_id: shareId, peer: share.peer, size_bytes: share.sizeBytes }, 'share_fetched')
    onFetched()
    // It is here, which is what counts: nobody waits for the relay, which forgets it in the end by itself.
    this.#packages.acknowledge(incoming, { key, signal }).catch((error: unknown) => {
      if (!signal.aborted) log.debug({ share_id: shareId, err: error }, 'share_not_acknowledged')
    })
    return store.use(({ shares }) => shares.find(shareId))
  }

  async #download(incoming: Parameters<PackageFetcher['fetch']>[0], key: Uint8Array) {
    try {
      return await this.#packages.fetch(incoming, { key, signal: this.#stopping.signal })
    } catch (error) {
      if (!(error instanceof MeshError)) throw error
      if (goneCodes.has(error.code)) {
        throw expired(`The relay has it no more. ${error.message}`, error)
      }
      throw error
    }
  }

  async #round(): Promise<number | null> {
    const { store, autoFetchBytesMax, runtime, log } = this.#o
    let failure: MeshError | null = null
    for (let after: string | null = ''; after !== null; ) {
      const page: { readonly items: readonly Share[]; readonly next: string | null } = await store.use(({ shares }) =>
        shares.list({ direction: 'received', status: 'received', after: after ?? '', limit: sharesPerRound }),
      )
      for (const { shareId, sizeBytes, expiresAt } of page.items) {
        const isOver = expiresAt !== null && expiresAt <= runtime.now()
        if (isOver || sizeBytes > autoFetchBytesMax() || this.#failed.has(shareId)) continue
        if (this.#stopping.signal.aborted) return null
        try {
          await this.fetch(shareId)
        } catch (error) {
          if (!(error instanceof MeshError)) throw error
          if (error.retryable) {
            failure ??= error
            continue
          }
          this.#failed.add(shareId)
          this.totals.not_fetched += 1
          log.warn({ share_id: shareId, err: error }, 'share_not_fetched')
        }
      }
      after = page.next
    }
    if (failure !== null) throw failure
    return null
  }
}

/** The relay's words for what it does not have any more. */
const goneCodes: ReadonlySet<string> = new Set(['blob_expired', 'blob_not_found'])

function expired(detail: string, cause?: unknown): MeshError {
  return new MeshError('share_expired', { detail, ...(cause === undefined ? {} : { cause }) })
}
