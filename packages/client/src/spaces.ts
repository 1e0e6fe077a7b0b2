/**
 * Spaces: what was decided, in one order (07). One method per route.
 *
 * 1. What is decided carries an intent id, the caller's or one made here, and every repeat the same one: it is decided once.
 * 2. A watch goes on behind the last decision that was seen, also across restarts of the daemon.
 */
import type { Readable } from 'node:stream'
import type {
  DecisionList,
  ImportedDecisions,
  LeaseAnswer,
  NewDecision,
  PulledSpaces,
  PushedSpaces,
  RecordedDecision,
  RepositoryReport,
  SpaceList,
  SpaceListQuery,
  SpaceReasons,
  SpaceState,
  SpaceView,
} from '@claudemesh/protocol/spaces'
import type { CallOptions } from './artifacts.ts'
import { type FollowOptions, followStream } from './events.ts'
import { namingKey } from './naming-key.ts'
import { eachRow } from './pages.ts'
import { MeshError } from './protocol.ts'
import type { ClientRuntime } from './runtime.ts'
import type { Call, Transport } from './transport.ts'

export interface DecideOptions extends CallOptions {
  /** To be able to ask again, with the same answer; absent: one is made. */
  readonly intentId?: string
  /** The number of the last decision that the caller has read; when there are others since, nothing is decided. */
  readonly expectHead?: number
  /** With the key of the daemon's member. */
  readonly sign?: boolean
}

/** To read or copy a whole log takes as long as it is; whoever has waited enough ends the call. */
const longWorkMsMax = 24 * 3_600_000

export class Spaces {
  readonly #transport: Transport
  readonly #runtime: ClientRuntime
  readonly #nextId: () => string

  constructor(transport: Transport, o: { readonly runtime: ClientRuntime; readonly nextId: () => string }) {
    this.#transport = transport
    this.#runtime = o.runtime
    this.#nextId = o.nextId
  }

  /** One page of the spaces of the daemon's host. */
  async list(query: SpaceListQuery = {}): Promise<SpaceList> {
    return await this.#get('/v1/spaces', query)
  }

  /** Every space, fetched page by page. */
  each(): AsyncGenerator<SpaceView, void, undefined> {
    return eachRow(async (after) => {
      const page = await this.list(after === null ? {} : { after })
      return { rows: page.spaces, next: page.next }
    })
  }

  /**
   * Makes a space; of one that is there, nothing.
   *
   * @param o `shared`: with every member of the mesh that shares a space of this name
   */
  async create(space: string, { shared = false }: { readonly shared?: boolean } = {}): Promise<SpaceView> {
    const body = shared ? { space, shared } : { space }
    return await this.#call({ method: 'POST', path: '/v1/spaces', body, repeatable: true })
  }

  async get(space: string): Promise<SpaceView> {
    return await this.#get(pathOf(space))
  }

  /** Decides, all of it or nothing. Kept when it returns. @throws MeshError, which names the intent that may be kept */
  async decide(
    space: string,
    decisions: readonly NewDecision[],
    o: DecideOptions = {},
  ): Promise<readonly RecordedDecision[]> {
    const { intentId = this.#nextId(), expectHead, sign, signal } = o
    const body = {
      decisions,
      ...(expectHead === undefined ? {} : { expect_head: expectHead }),
      ...(sign === undefined ? {} : { sign }),
    }
    const headers = { 'idempotency-key': intentId }
    const path = `${pathOf(space)}/events`
    const call: Call = { method: 'POST', path, body, headers, repeatable: true, patienceMs: longWorkMsMax, signal }
    try {
      const { events } = await this.#call<DecisionList>(call)
      return events
    } catch (cause) {
      const isUnknown = cause instanceof MeshError && cause.data['reached'] !== false
      throw isUnknown ? namingKey(cause, { intent_id: intentId }) : cause
    }
  }

  /** One page of the log: the decisions after a number. */
  async events(space: string, query: { readonly after?: number; readonly limit?: number } = {}): Promise<DecisionList> {
    return await this.#get(`${pathOf(space)}/events`, query)
  }

  /** Every decision after a number, fetched page by page. */
  async *eachEvent(
    space: string,
    o: { readonly after?: number } = {},
  ): AsyncGenerator<RecordedDecision, void, undefined> {
    let after = o.after ?? 0
    for (;;) {
      const { events, next } = await this.events(space, { after, limit: 1000 })
      yield* events
      if (next === null) return
      after = next
    }
  }

  /** The decisions after a number, and every one that comes, for ever. */
  async *watch(
    space: string,
    o: Omit<FollowOptions, 'since'> & { readonly after?: number } = {},
  ): AsyncGenerator<RecordedDecision, void, undefined> {
    const { after = 0, ...options } = o
    const path = `${pathOf(space)}/events`
    const stream = followStream(this.#transport, this.#runtime, path, { ...options, since: String(after) })
    for await (const { data } of stream) yield JSON.parse(data) as RecordedDecision
  }

  /** What holds now, or what held after an event. */
  async state(space: string, o: { readonly at?: number } = {}): Promise<SpaceState> {
    return await this.#get(`${pathOf(space)}/state`, o)
  }

  /** The decisions behind a key, a target, or a name of either. */
  async why(space: string, key: string): Promise<SpaceReasons> {
    return await this.#get(`${pathOf(space)}/why`, { key })
  }

  /** The last lease: who appends to the space. */
  async lease(space: string): Promise<LeaseAnswer> {
    return await this.#get(`${pathOf(space)}/lease`)
  }

  /** Lets the daemon append until it gives the lease up. With `force` not repeated by itself: each call is a takeover. */
  async acquireLease(space: string, o: { readonly force?: boolean } = {}): Promise<LeaseAnswer> {
    const path = `${pathOf(space)}/lease/acquire`
    return await this.#call({ method: 'POST', path, body: o, repeatable: o.force !== true })
  }

  /** Gives the lease up; of one that the daemon does not hold, nothing. */
  async releaseLease(space: string): Promise<LeaseAnswer> {
    return await this.#call({ method: 'POST', path: `${pathOf(space)}/lease/release`, repeatable: true })
  }

  /** The whole log as lines of JSON. One attempt: who loses the connection begins anew. */
  async *export(space: string, o: CallOptions = {}): AsyncGenerator<Uint8Array, void, undefined> {
    const call: Call = {
      method: 'GET',
      path: `${pathOf(space)}/export`,
      repeatable: true,
      patienceMs: longWorkMsMax,
      ...o,
    }
    const stream = await this.#transport.open({ ...call, headers: { accept: '*/*' } })
    try {
      yield* stream.chunks
    } catch (cause) {
      o.signal?.throwIfAborted()
      throw this.#transport.failure(cause)
    } finally {
      stream.close()
    }
  }

  /** Takes an export over as it is: all of it or nothing. */
  async import(
    space: string,
    lines: { readonly open: () => Readable; readonly reopens: boolean },
    o: CallOptions = {},
  ): Promise<ImportedDecisions> {
    return await this.#call({
      method: 'POST',
      path: `${pathOf(space)}/import`,
      headers: { 'content-type': 'application/x-ndjson' },
      source: lines.open,
      repeatable: lines.reopens,
      patienceMs: longWorkMsMax,
      ...o,
    })
  }

  /** Takes the log as it is now, wherever its branch was moved: what an operator decides after `history_rewritten`. */
  async acceptHistory(space: string): Promise<SpaceView> {
    return await this.#call({ method: 'POST', path: `${pathOf(space)}/accept-history`, repeatable: true })
  }

  /** Looks through the repository that all spaces are in, and reads every decision again. */
  async fsck(o: CallOptions = {}): Promise<RepositoryReport> {
    return await this.#long('fsck', undefined, o)
  }

  /** Pushes every space to another repository, each as far as it continues what is there. */
  async push(remote: string, o: CallOptions = {}): Promise<PushedSpaces> {
    return await this.#long('push', { remote }, o)
  }

  /** Takes from another repository what continues the spaces here, and the spaces that are not here. */
  async pull(remote: string, o: CallOptions = {}): Promise<PulledSpaces> {
    return await this.#long('pull', { remote }, o)
  }

  async #long<Answer>(verb: string, body: unknown, o: CallOptions): Promise<Answer> {
    const path = `/v1/decisions/${verb}`
    return await this.#call({ method: 'POST', path, body, repeatable: true, patienceMs: longWorkMsMax, ...o })
  }

  async #get<Answer>(path: string, query: Call['query'] = {}): Promise<Answer> {
    return await this.#call({ method: 'GET', path, query, repeatable: true, patienceMs: longWorkMsMax })
  }

  /** The daemon made the answer from the schema of the same route. */
  async #call<Answer>(call: Call): Promise<Answer> {
    return (await this.#transport.call(call)) as Answer
  }
}

function pathOf(space: string): string {
  return `/v1/spaces/${encodeURIComponent(space)}`
}
