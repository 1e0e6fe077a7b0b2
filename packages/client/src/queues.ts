/** Work queues: one method per route. Work is taken under a lease, and settled with the lease that came with it. */
import type {
  DeadMessage,
  Queue,
  QueueAckRequest,
  QueueConsumeRequest,
  QueueDeadQuery,
  QueueDeadResponse,
  QueueDropResponse,
  QueueExtendRequest,
  QueueList,
  QueueListQuery,
  QueueNackRequest,
  QueueRequeueResponse,
  QueueSettleResponse,
  QueueTakeRequest,
  QueueTakeResponse,
} from '@claudemesh/protocol'
import { eachRow } from './pages.ts'
import type { Call, Transport } from './transport.ts'

export class Queues {
  readonly #transport: Transport

  constructor(transport: Transport) {
    this.#transport = transport
  }

  /** One page of the queues of the mesh. */
  async list(query: QueueListQuery = {}): Promise<QueueList> {
    return await this.#call({ method: 'GET', path: '/v1/queue/list', query, repeatable: true })
  }

  /** Every queue of the mesh, fetched page by page. */
  each(): AsyncGenerator<Queue, void, undefined> {
    return eachRow(async (after) => {
      const page = await this.list(after === null ? {} : { after })
      return { rows: page.queues, next: page.next }
    })
  }

  /** Makes this member a consumer. What was sent before the first time is not for it. */
  async consume(request: QueueConsumeRequest): Promise<Queue> {
    return await this.#post('/v1/queue/consume', request, 'repeatable')
  }

  async leave(queue: string): Promise<Queue> {
    return await this.#post('/v1/queue/leave', { queue }, 'repeatable')
  }

  /** Leases messages. Not repeated by itself: what was taken by a call whose answer was lost comes back with time. */
  async take(request: QueueTakeRequest, options: { readonly signal?: AbortSignal } = {}): Promise<QueueTakeResponse> {
    return await this.#call({
      method: 'POST',
      path: '/v1/queue/take',
      body: request,
      repeatable: false,
      patienceMs: request.wait_ms ?? 0,
      signal: options.signal,
    })
  }

  async ack(items: QueueAckRequest['items']): Promise<QueueSettleResponse> {
    return await this.#post('/v1/queue/ack', { items }, 'repeatable')
  }

  /** Gives messages back, for another time or another consumer. */
  async nack(items: QueueNackRequest['items']): Promise<QueueSettleResponse> {
    return await this.#post('/v1/queue/nack', { items }, 'repeatable')
  }

  /** Keeps leases for so long from now. */
  async extend(items: QueueExtendRequest['items']): Promise<QueueSettleResponse> {
    return await this.#post('/v1/queue/extend', { items }, 'repeatable')
  }

  /** One page of the messages that were given up, oldest first. */
  async dead(query: QueueDeadQuery): Promise<QueueDeadResponse> {
    return await this.#call({ method: 'GET', path: '/v1/queue/dead', query, repeatable: true })
  }

  /** Every message of a queue that was given up, fetched page by page. */
  eachDead(queue: string): AsyncGenerator<DeadMessage, void, undefined> {
    return eachRow(async (after) => {
      const page = await this.dead(after === null ? { queue } : { queue, after })
      return { rows: page.messages, next: page.next }
    })
  }

  /** Dead messages wait again. Not repeated by itself: a second call would count none. */
  async requeue(queue: string, ids: readonly string[]): Promise<QueueRequeueResponse> {
    return await this.#post('/v1/queue/requeue', { queue, ids }, 'once')
  }

  /** Dead messages are gone. Not repeated by itself, as `requeue`. */
  async drop(queue: string, ids: readonly string[]): Promise<QueueDropResponse> {
    return await this.#post('/v1/queue/drop', { queue, ids }, 'once')
  }

  async #post<Answer>(path: string, body: unknown, repetition: 'repeatable' | 'once'): Promise<Answer> {
    return await this.#call({ method: 'POST', path, body, repeatable: repetition === 'repeatable' })
  }

  /** The daemon made the answer from the schema of the same route. */
  async #call<Answer>(call: Call): Promise<Answer> {
    return (await this.#transport.call(call)) as Answer
  }
}
