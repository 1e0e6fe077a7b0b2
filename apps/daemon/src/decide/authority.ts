/**
 * The lease of one shared space at the broker (07 §4), as far as this member has it.
 *
 * 1. What it was granted is good until the broker says otherwise: clocks here decide nothing. Whether an append counts, the broker
 *    compares when it takes it.
 * 2. It is renewed as long as this process lives, and given up when it ends.
 */
import {
  MeshError,
  type Operation,
  type RequestParams,
  type RequestResult,
  type SpaceHead,
  type SpaceLeaseRecord,
} from '@claudemesh/protocol'
import type { Log } from '../log.ts'
import { decideRenewalsPerTerm } from '../space-limits.ts'

export type BrokerRequest = <O extends Operation>(op: O, params: RequestParams<O>) => Promise<RequestResult<O>>

export interface AuthorityOptions {
  readonly space: string
  readonly request: BrokerRequest
  readonly termMs: number
  readonly log: Log
}

export class Authority {
  readonly #o: AuthorityOptions
  #epoch: number | null = null
  #latest: SpaceLeaseRecord | null = null
  #timer: NodeJS.Timeout | null = null

  constructor(o: AuthorityOptions) {
    this.#o = o
  }

  /** Of the lease that this member holds, as far as it knows; null: none. */
  get epoch(): number | null {
    return this.#epoch
  }

  /** What the broker said last; null before it has said anything. */
  get latest(): SpaceLeaseRecord | null {
    return this.#latest
  }

  /** @throws MeshError when the broker does not answer */
  async look(): Promise<SpaceLeaseRecord> {
    const { space, request } = this.#o
    const { lease } = await request('spaces.lease', { space })
    this.#latest = lease
    return lease
  }

  /**
   * Takes the lease when it is free, past its term, or this member's from before.
   *
   * @param head of this member's own log
   * @throws MeshError when the broker does not answer
   */
  async acquire(head: SpaceHead): Promise<{ readonly granted: boolean; readonly lease: SpaceLeaseRecord }> {
    const { space, request, termMs, log } = this.#o
    const answer = await request('spaces.acquire', { space, head, term_ms: termMs })
    this.#latest = answer.lease
    if (!answer.granted) return answer
    this.#epoch = answer.lease.epoch
    this.#renewLater()
    log.info({ space, epoch: answer.lease.epoch, seq: answer.lease.head.seq }, 'space_lease_granted')
    return answer
  }

  /** The broker says that somebody else has it. */
  lost(): void {
    if (this.#epoch === null) return
    this.#o.log.info({ space: this.#o.space, epoch: this.#epoch }, 'space_lease_lost')
    this.#forget()
  }

  /** Gives it up, so that nobody has to wait for its end. Never rejects. */
  async release(): Promise<void> {
    const epoch = this.#epoch
    this.#forget()
    if (epoch === null) return
    const { space, request } = this.#o
    // Where the broker does not hear of it, the term ends it.
    await request('spaces.release', { space, epoch }).catch(() => undefined)
  }

  #forget(): void {
    this.#epoch = null
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
  }

  #renewLater(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = setTimeout(() => void this.#renew(), this.#o.termMs / decideRenewalsPerTerm)
    this.#timer.unref()
  }

  async #renew(): Promise<void> {
    const { space, request, termMs } = this.#o
    const epoch = this.#epoch
    if (epoch === null) return
    try {
      const { lease } = await request('spaces.renew', { space, epoch, term_ms: termMs })
      if (this.#epoch === epoch) this.#latest = lease
    } catch (error) {
      if (!(error instanceof MeshError)) throw error
      // Any other failure is tried again; should it last, the term ends and somebody else is granted it.
      if (error.code === 'lease_lost' && this.#epoch === epoch) this.lost()
    }
    if (this.#epoch === epoch) this.#renewLater()
  }
}
