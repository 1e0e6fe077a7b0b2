/**
 * Logs of decisions for several processes of a host, of which one at a time appends to a space (07 §4).
 *
 * 1. Who appends first is granted the lease and renews it; the others forward to its socket. An append keeps its intent id
 *    wherever it goes, so that it is done once.
 * 2. When the holder is gone or asleep, whoever wants to append is granted the lease after its term, and goes on at the head.
 * 3. A holder that wakes up after that appends nothing: the change of the log compares the lease. What it was asked for it
 *    hands to the next one. Who has not appended for a while gives the lease up: spaces that rest cost nothing.
 * 4. Nobody waits for ever: after `waitMsMax` the caller is told who holds the lease.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { MeshError } from '@claudemesh/protocol'
import type { AppendOptions, DecisionLog, Head } from '../decision-log.ts'
import { checkSpaceName, type DecisionDraft, type DecisionEvent } from '../event.ts'
import { goOn } from '../go-on.ts'
import { type Runtime, systemRuntime } from '../runtime.ts'
import { checkAppend } from '../space-line.ts'
import { AppendSocket, type Elsewhere, type ForwardedAppend, forward } from './append-socket.ts'
import { GitDecisionLog, type GitDecisionLogOptions } from './git-decision-log.ts'
import { clockSkewMsMax, type HeldLease } from './leases.ts'
import type { PulledSpace } from './remote.ts'

export interface SharedDecisionLogOptions extends GitDecisionLogOptions {
  /** 1 to 128 visible ASCII characters, another one for each process that is open at the same time. */
  readonly holder: string
  /** How long a lease lasts without being renewed. */
  readonly termMs?: number
  /** How long an append waits for a holder that does not answer. */
  readonly waitMsMax?: number
  /** Spaces that are not decided in this repository, and who has what other processes append to them decided. */
  readonly elsewhere?: Elsewhere
}

const termMsDefault = 15_000
const waitMsMaxDefault = 60_000
/** A lease is renewed at this part of its term. */
const renewalsPerTerm = 3
/** Terms without an append after which a lease is given up. */
const idleTermsMax = 4
const retryMs = 50

interface Held {
  readonly lease: HeldLease
  readonly stop: AbortController
  /** It was asked for by itself, and is held until it is given up. */
  isKept: boolean
  /** What is being done under it. */
  uses: number
  /** When something was done under it last, by `performance.now`. */
  usedAt: number
}

export class SharedDecisionLog implements DecisionLog {
  readonly log: GitDecisionLog
  readonly #holder: string
  readonly #termMs: number
  readonly #waitMsMax: number
  readonly #runtime: Runtime
  readonly #elsewhere: Elsewhere | null
  readonly #socket: AppendSocket
  readonly #held = new Map<string, Held>()
  /** Of several appends that find a lease free, one asks for it. */
  readonly #asking = new Map<string, Promise<Held | MeshError>>()
  #isClosed = false

  /** @throws MeshError what `GitDecisionLog.open` throws */
  static async open(o: SharedDecisionLogOptions): Promise<SharedDecisionLog> {
    const log = await GitDecisionLog.open(o)
    // The socket is there before there is a lease that names it.
    let shared: SharedDecisionLog | null = null
    const socket = await AppendSocket.listen(async (append) => {
      if (shared === null) throw new MeshError('lease_lost')
      return shared.#appendAsHolder(append)
    })
    shared = new SharedDecisionLog(log, socket, o)
    return shared
  }

  private constructor(log: GitDecisionLog, socket: AppendSocket, o: SharedDecisionLogOptions) {
    this.log = log
    this.#socket = socket
    this.#holder = o.holder
    this.#termMs = o.termMs ?? termMsDefault
    this.#waitMsMax = o.waitMsMax ?? waitMsMaxDefault
    this.#runtime = o.runtime ?? systemRuntime()
    this.#elsewhere = o.elsewhere ?? null
  }

  /** @throws MeshError what every log throws; `lease_held` after `waitMsMax` */
  async append(space: string, drafts: readonly DecisionDraft[], o: AppendOptions): Promise<readonly DecisionEvent[]> {
    checkSpaceName(space)
    const append = { space, drafts: checkAppend(drafts, o), o }
    const until = performance.now() + this.#waitMsMax
    for (;;) {
      try {
        const held = await this.#hold(space)
        const events =
          held instanceof MeshError ? await this.#forward(append, held) : await this.#appendWith(held, append)
        if (events !== null) return events
        if (performance.now() > until && held instanceof MeshError) throw held
      } catch (error) {
        if (!isPassing(error) || performance.now() > until) throw error
      }
      await pause(retryMs * (0.5 + Math.random()))
    }
  }

  async importEvents(space: string, events: AsyncIterable<DecisionEvent>): Promise<number> {
    checkSpaceName(space)
    const iterator = events[Symbol.asyncIterator]()
    try {
      const first = await iterator.next()
      if (first.done === true) return 0
      const all = goOn(first.value, iterator)
      // Nobody has the lease of a space that is not there: what is wrong leaves none behind, and so no space.
      const isNew = (await this.log.leases.read(space)) === null && (await this.log.head(space)).oid === null
      if (isNew) return await this.log.importEvents(space, all)
      return await this.underLease(space, (lease) => this.log.importEvents(space, all, { lease }))
    } finally {
      await iterator.return?.()
    }
  }

  /**
   * Does something under the lease of a space, which is acquired if it is free.
   *
   * @throws MeshError `invalid_space`, `lease_held`, and what `run` throws
   */
  async underLease<T>(space: string, run: (lease: HeldLease) => Promise<T>): Promise<T> {
    checkSpaceName(space)
    const held = await this.#hold(space)
    if (held instanceof MeshError) throw held
    return this.#using(space, held, run)
  }

  events(space: string, o?: { readonly after?: number; readonly until?: number }): AsyncIterable<DecisionEvent> {
    return this.log.events(space, o)
  }

  head(space: string): Promise<Head> {
    return this.log.head(space)
  }

  watch(space: string, after: number, signal: AbortSignal): AsyncIterable<DecisionEvent> {
    return this.log.watch(space, after, signal)
  }

  spaces(): Promise<readonly string[]> {
    return this.log.spaces()
  }

  /** @throws MeshError what `GitDecisionLog.pull` throws; `lease_held` of a space that another process appends to */
  pull(remote: string, signal?: AbortSignal): Promise<readonly PulledSpace[]> {
    const isElsewhere = (space: string) => this.#elsewhere?.has(space) === true
    return this.log.pull(remote, { isElsewhere, leaseOf: (space) => this.#held.get(space)?.lease ?? null, signal })
  }

  /** Spaces whose lease this process holds. */
  get leasesHeld(): number {
    return this.#held.size
  }

  /** Whether this process holds the lease of a space, as far as it knows. */
  holds(space: string): boolean {
    return this.#held.has(space)
  }

  /**
   * Takes the lease of a space when nobody else has it.
   *
   * @param o `keep`: until it is given up, not only as long as somebody appends
   * @throws MeshError `invalid_space`, `lease_held`, `lease_lost`
   */
  async acquire(space: string, { keep }: { readonly keep: boolean }): Promise<void> {
    checkSpaceName(space)
    const held = await this.#hold(space)
    if (held instanceof MeshError) throw held
    if (keep) held.isKept = true
  }

  /** Gives the lease of a space up; of one that it does not hold, nothing. @throws MeshError what `Leases.release` throws */
  async release(space: string): Promise<void> {
    const held = this.#held.get(space)
    if (held === undefined) return
    this.#drop(space)
    await this.log.leases.release(held.lease)
  }

  /** Takes the lease of a space whoever holds it, and logs that. @throws MeshError what `GitDecisionLog.seizeLease` throws */
  async seize(space: string, actor: string): Promise<void> {
    const held = this.#keep(space, await this.log.seizeLease(space, actor, this.#request()))
    held.isKept = true
  }

  /** Gives its leases up, so that nobody has to wait for their end. */
  async close(): Promise<void> {
    this.#isClosed = true
    for (const [space, { lease }] of [...this.#held]) {
      this.#drop(space)
      // Somebody else has it already, or will when its term ends.
      await this.log.leases.release(lease).catch(() => undefined)
    }
    await this.#socket.close()
    await this.log.close()
  }

  /** What the socket takes: done here or not at all, so that nothing is forwarded in a circle. */
  async #appendAsHolder({ space, drafts, o }: ForwardedAppend): Promise<readonly DecisionEvent[]> {
    checkSpaceName(space)
    const held = this.#held.get(space)
    if (held === undefined) throw new MeshError('lease_lost', { data: { space } })
    if (this.#elsewhere?.has(space) === true) return this.#elsewhere.append({ space, drafts, o })
    return this.#appendWith(held, { space, drafts: checkAppend(drafts, o), o })
  }

  #appendWith(held: Held, { space, drafts, o }: ForwardedAppend): Promise<readonly DecisionEvent[]> {
    return this.#using(space, held, (lease) => this.log.append(space, drafts, { ...o, lease }))
  }

  async #using<T>(space: string, held: Held, run: (lease: HeldLease) => Promise<T>): Promise<T> {
    held.uses += 1
    try {
      return await run(held.lease)
    } catch (error) {
      if (error instanceof MeshError && error.code === 'lease_lost' && this.#held.get(space) === held) this.#drop(space)
      throw error
    } finally {
      held.uses -= 1
      held.usedAt = performance.now()
    }
  }

  /** Null when the holder gave no answer before its lease ended, or has gone. */
  async #forward(append: ForwardedAppend, held: MeshError): Promise<readonly DecisionEvent[] | null> {
    const { socket, expires_at: expires } = held.data as { readonly socket: string | null; readonly expires_at: string }
    if (socket === null) return null
    const leftMs = Date.parse(expires) + clockSkewMsMax - this.#runtime.now()
    // It renews while it lives; one that does not answer by then is asked again, or replaced.
    return forward(socket, append, AbortSignal.timeout(Math.max(leftMs, retryMs)))
  }

  /** The lease of a space, granted now if it is free; else who has it. */
  #hold(space: string): Promise<Held | MeshError> {
    const held = this.#held.get(space)
    if (held !== undefined) return Promise.resolve(held)
    const asking = this.#asking.get(space) ?? this.#acquire(space).finally(() => this.#asking.delete(space))
    this.#asking.set(space, asking)
    return asking
  }

  async #acquire(space: string): Promise<Held | MeshError> {
    if (this.#isClosed) throw new MeshError('lease_lost', { detail: 'The log is closed.' })
    try {
      return this.#keep(space, await this.log.leases.acquire(space, this.#request()))
    } catch (error) {
      if (error instanceof MeshError && error.code === 'lease_held') return error
      throw error
    }
  }

  #request() {
    return { holder: this.#holder, socket: this.#socket.path, termMs: this.#termMs }
  }

  #keep(space: string, lease: HeldLease): Held {
    this.#drop(space)
    const held = { lease, stop: new AbortController(), isKept: false, uses: 0, usedAt: performance.now() }
    this.#held.set(space, held)
    void this.#renew(space, held)
    return held
  }

  #drop(space: string): void {
    this.#held.get(space)?.stop.abort()
    this.#held.delete(space)
  }

  async #renew(space: string, held: Held): Promise<void> {
    const { signal } = held.stop
    while (!signal.aborted) {
      await pause(this.#termMs / renewalsPerTerm, undefined, { signal, ref: false }).catch(() => undefined)
      if (signal.aborted) return
      try {
        const isIdle = !held.isKept && held.uses === 0 && performance.now() - held.usedAt > idleTermsMax * this.#termMs
        // An append that comes in this moment finds it lost, and is granted another.
        if (isIdle) return await this.release(space)
        await this.log.leases.renew(held.lease, this.#termMs)
      } catch (error) {
        // Any other failure is tried again; should it last, the lease ends and somebody else is granted it.
        if (error instanceof MeshError && error.code === 'lease_lost' && !signal.aborted) this.#drop(space)
      }
    }
  }
}

/** Whether the same append may succeed in a moment, with this holder or the next one. */
function isPassing(error: unknown): boolean {
  return error instanceof MeshError && (error.code === 'lease_lost' || error.code === 'lease_held')
}
