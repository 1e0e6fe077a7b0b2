/** What was found out and is believed for a while: at most so many, the oldest go first. */
export class Findings<T> {
  readonly #found = new Map<string, { readonly value: T; readonly until: number }>()
  readonly #o: { readonly monotonicMs: () => number; readonly lifeMs: number; readonly countMax: number }

  constructor(o: { readonly monotonicMs: () => number; readonly lifeMs: number; readonly countMax: number }) {
    this.#o = o
  }

  add(key: string, value: T): void {
    this.#found.delete(key)
    this.#found.set(key, { value, until: this.#o.monotonicMs() + this.#o.lifeMs })
    if (this.#found.size <= this.#o.countMax) return
    const [oldest] = this.#found.keys()
    if (oldest !== undefined) this.#found.delete(oldest)
  }

  get(key: string): T | null {
    const finding = this.#found.get(key)
    if (finding === undefined) return null
    if (this.#o.monotonicMs() < finding.until) return finding.value
    this.#found.delete(key)
    return null
  }

  has(key: string): boolean {
    return this.get(key) !== null
  }

  /** Forgets everything. @returns what it was, however old */
  drain(): readonly T[] {
    const values = [...this.#found.values()].map(({ value }) => value)
    this.#found.clear()
    return values
  }

  forget(key: string): void {
    this.#found.delete(key)
  }
}
