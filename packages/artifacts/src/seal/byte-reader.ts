/** Bytes of a source in portions of the reader's own length. Holds one chunk of the source and one portion. */
export class ByteReader {
  readonly #iterator: AsyncIterator<Uint8Array>
  #rest: Uint8Array = new Uint8Array(0)
  #ended = false

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#iterator = source[Symbol.asyncIterator]()
  }

  /** The next `length` bytes; fewer at the end of the source only. A copy: the source may use its chunk again. */
  async read(length: number): Promise<Buffer> {
    const bytes = Buffer.allocUnsafe(length)
    let filled = 0
    while (filled < length && !(await this.atEnd())) {
      const part = this.#rest.subarray(0, length - filled)
      bytes.set(part, filled)
      filled += part.length
      this.#rest = this.#rest.subarray(part.length)
    }
    return bytes.subarray(0, filled)
  }

  /** Whether all was read, for which the source may be asked for its next chunk. */
  async atEnd(): Promise<boolean> {
    while (this.#rest.length === 0 && !this.#ended) {
      const { done, value } = await this.#iterator.next()
      if (done === true) this.#ended = true
      else this.#rest = value
    }
    return this.#rest.length === 0
  }

  /** Tells the source that no more is wanted. */
  async close(): Promise<void> {
    if (this.#ended) return
    this.#ended = true
    await this.#iterator.return?.()
  }
}
