import type { Pool } from '@claudemesh/storage/postgres'
import type { RateLimiter, RateLimits, RateVerdict } from '../../rates.ts'
import type { MessageKey } from '../../rows.ts'
import { forgetRates, takeRates } from './statements.ts'

/** Limits that hold for all nodes together: one round trip for each batch, into tables that no crash has to keep. */
export class PostgresRates implements RateLimiter {
  readonly #pool: Pool
  readonly #limits: RateLimits

  constructor(pool: Pool, limits: RateLimits) {
    this.#pool = pool
    this.#limits = limits
  }

  async take(keys: readonly MessageKey[]): Promise<readonly RateVerdict[]> {
    if (keys.length === 0) return []
    const refused = await this.#pool.read((session) => takeRates(session, keys, this.#limits))
    const verdicts: RateVerdict[] = keys.map(() => ({ ok: true }))
    for (const { place, retryAfterMs } of refused) verdicts[place - 1] = { ok: false, retryAfterMs }
    return verdicts
  }

  forget(rowsMax: number): Promise<number> {
    const { windowMs } = this.#limits
    return this.#pool.read((session) => forgetRates(session, { windowMs, rowsMax }))
  }
}
