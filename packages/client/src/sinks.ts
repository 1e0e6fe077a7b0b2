/** Exports of the history: one method per route. */
import type {
  ArchivePage,
  ArchiveQuery,
  NewSink,
  Sink,
  SinkList,
  SinkResetAnswer,
  SinkResetRequest,
  SinkRunView,
} from '@claudemesh/protocol/sinks'
import type { Call, Transport } from './transport.ts'

/** A backlog is exported whole before the answer. */
const runMsMax = 24 * 3_600_000

export class Sinks {
  readonly #transport: Transport

  constructor(transport: Transport) {
    this.#transport = transport
  }

  async list(): Promise<SinkList> {
    return await this.#call({ method: 'GET', path: '/v1/sinks', repeatable: true })
  }

  async get(name: string): Promise<Sink> {
    return await this.#call({ method: 'GET', path: sinkPath(name), repeatable: true })
  }

  /** Writes a sink into the configuration of the mesh, and begins with it. */
  async add(sink: NewSink): Promise<Sink> {
    return await this.#call({ method: 'POST', path: '/v1/sinks', body: sink, repeatable: false })
  }

  /** Takes a sink out of the configuration. What it has exported stays at its destination. */
  async remove(name: string): Promise<void> {
    await this.#call({ method: 'DELETE', path: sinkPath(name), repeatable: false })
  }

  /** Exports everything there is now. */
  async run(name: string): Promise<SinkRunView> {
    return await this.#call({ method: 'POST', path: `${sinkPath(name)}/run`, repeatable: true, patienceMs: runMsMax })
  }

  async pause(name: string): Promise<Sink> {
    return await this.#call({ method: 'POST', path: `${sinkPath(name)}/pause`, repeatable: true })
  }

  async resume(name: string): Promise<Sink> {
    return await this.#call({ method: 'POST', path: `${sinkPath(name)}/resume`, repeatable: true })
  }

  /** Says how far the destination is, whatever the watermark says. */
  async reset(name: string, request: SinkResetRequest): Promise<SinkResetAnswer> {
    return await this.#call({ method: 'POST', path: `${sinkPath(name)}/reset`, body: request, repeatable: true })
  }

  /** One page of the rows that a sink has exported as objects. */
  async rows(name: string, query: ArchiveQuery): Promise<ArchivePage> {
    const path = `${sinkPath(name)}/rows`
    return await this.#call({ method: 'GET', path, query, repeatable: true, patienceMs: runMsMax })
  }

  async #call<T>(call: Call): Promise<T> {
    return (await this.#transport.call(call)) as T
  }
}

function sinkPath(name: string): string {
  return `/v1/sinks/${encodeURIComponent(name)}`
}
