/** The store of artifacts: one method per route (06 §16). */
import type { ArtifactsHealth } from '@claudemesh/protocol/artifacts'
import type { Call, Transport } from './transport.ts'

export class Artifacts {
  readonly #transport: Transport

  constructor(transport: Transport) {
    this.#transport = transport
  }

  /** How the store is; also an answer when it is down. */
  async health(): Promise<ArtifactsHealth> {
    return await this.#call({ method: 'GET', path: '/v1/artifacts/health', repeatable: true })
  }

  /** The daemon made the answer from the schema of the same route. */
  async #call<Answer>(call: Call): Promise<Answer> {
    return (await this.#transport.call(call)) as Answer
  }
}
