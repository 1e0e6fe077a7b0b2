/** The record of everything sent and received: one method per route. */
import type { HistoryRow } from '@claudemesh/protocol'
import type {
  HistoryCompactRequest,
  HistoryCompactResponse,
  HistoryPage,
  HistoryPruneResponse,
  HistoryQueryParameters,
  HistoryStats,
} from '@claudemesh/protocol/history'
import { eachRow } from './pages.ts'
import type { Call, Transport } from './transport.ts'

export class History {
  readonly #transport: Transport

  constructor(transport: Transport) {
    this.#transport = transport
  }

  /** One page; it can be short although there is a next one. */
  async query(query: HistoryQueryParameters = {}): Promise<HistoryPage> {
    return await this.#call({ method: 'GET', path: '/v1/history/query', query, repeatable: true })
  }

  /** Every row that is asked for, fetched page by page. */
  each(query: HistoryQueryParameters = {}): AsyncGenerator<HistoryRow, void, undefined> {
    return eachRow(async (after) => await this.query(after === null ? query : { ...query, after }))
  }

  async stats(): Promise<HistoryStats> {
    return await this.#call({ method: 'GET', path: '/v1/history/stats', repeatable: true })
  }

  /** Deletes now what is past its retention. */
  async prune(): Promise<HistoryPruneResponse> {
    return await this.#call({ method: 'POST', path: '/v1/history/prune', body: {}, repeatable: true })
  }

  /** Gives back the space of deleted rows. It may take a while: `signal` ends the waiting, not the work. */
  async compact(
    request: HistoryCompactRequest = {},
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<HistoryCompactResponse> {
    const { signal } = options
    return await this.#call({
      ...{ method: 'POST', path: '/v1/history/compact', body: request, repeatable: false, signal },
      patienceMs: compactMsMax,
    })
  }

  /** The daemon made the answer from the schema of the same route. */
  async #call<Answer>(call: Call): Promise<Answer> {
    return (await this.#transport.call(call)) as Answer
  }
}

/** How long a compaction of a large partition may take. */
const compactMsMax = 3_600_000
