/** Sends with their idempotency keys: the caller's, or one made here; every repeat carries the same one. */
import type { SendRequest, SendResponse, TopicPostRequest, TraceContext } from '@claudemesh/protocol'
import type { SendOptions } from './client-options.ts'
import { namingKey } from './naming-key.ts'
import { MeshError } from './protocol.ts'
import type { Transport } from './transport.ts'

export class Sending {
  readonly #transport: Transport
  readonly #nextId: () => string

  constructor(transport: Transport, nextId: () => string) {
    this.#transport = transport
    this.#nextId = nextId
  }

  /** @throws MeshError, which names the key where the daemon may have taken the send */
  async send(path: string, request: SendRequest | TopicPostRequest, options: SendOptions): Promise<SendResponse> {
    const body = this.withKey(request)
    const { waitMs = 0, until, trace = null } = options
    try {
      const answer = await this.#transport.call({
        method: 'POST',
        path,
        query: waitMs === 0 ? {} : { wait: waitMs, until },
        headers: traceHeaders(trace),
        body,
        repeatable: true,
        patienceMs: waitMs,
        signal: options.signal,
      })
      // The daemon made it from the schema of the same route.
      return answer as SendResponse
    } catch (cause) {
      throw cause instanceof MeshError && cause.data['reached'] !== false
        ? namingKey(cause, { client_message_id: body.client_message_id })
        : cause
    }
  }

  withKey<Request extends SendRequest | TopicPostRequest>(request: Request): Request & { client_message_id: string } {
    return { ...request, client_message_id: request.client_message_id ?? this.#nextId() }
  }
}

export function traceHeaders(trace: TraceContext | null): Readonly<Record<string, string>> {
  if (trace === null) return {}
  const { traceparent, tracestate } = trace
  return { traceparent, ...(tracestate === null ? {} : { tracestate }) }
}
