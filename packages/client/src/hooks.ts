/** Executables that events fire: one method per route. */
import type { HookList, HookTestAnswer } from '@claudemesh/protocol/hooks'
import type { Transport } from './transport.ts'

/** The longest time that a hook may be given, and a little for what is around it. */
const testMsMax = 3_600_000 + 30_000

export class Hooks {
  readonly #transport: Transport

  constructor(transport: Transport) {
    this.#transport = transport
  }

  async list(): Promise<HookList> {
    return (await this.#transport.call({ method: 'GET', path: '/v1/hooks', repeatable: true })) as HookList
  }

  /** Runs a hook for an event that did not happen; what it answers is not sent. */
  async test(name: string): Promise<HookTestAnswer> {
    const path = `/v1/hooks/${encodeURIComponent(name)}/test`
    const answer = await this.#transport.call({ method: 'POST', path, repeatable: false, patienceMs: testMsMax })
    return answer as HookTestAnswer
  }
}
