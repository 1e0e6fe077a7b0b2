import { randomBytes, randomFillSync } from 'node:crypto'

/** Small enough to lie in a cache, large enough that the system is asked once in some thirty messages. */
const poolBytes = 4096

/**
 * Random bytes of node:crypto, drawn in bulk: asking for 24 or 32 of them costs as much as asking for thousands.
 *
 * 1. No byte is handed out twice, and none stays here after it was handed out.
 * 2. What is handed out is the caller's own memory.
 */
export class RandomPool {
  readonly #pool = Buffer.alloc(poolBytes)
  #used = poolBytes

  /** @returns that many bytes, fit for keys and nonces */
  take(length: number): Buffer {
    if (length > poolBytes) return randomBytes(length)
    if (this.#used + length > poolBytes) this.#refill()
    const start = this.#used
    this.#used = start + length
    const bytes = Buffer.alloc(length)
    this.#pool.copy(bytes, 0, start, this.#used)
    this.#pool.fill(0, start, this.#used)
    return bytes
  }

  #refill(): void {
    randomFillSync(this.#pool)
    this.#used = 0
  }
}
