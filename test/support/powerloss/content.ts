/** The bytes of one file, as far as the model has them. */
export interface DataWrite {
  readonly kind: 'write'
  readonly seq: number
  readonly start: number
  readonly end: number
  readonly data: Buffer
}

/** A change to what is in a file. `seq` is its place in the trace. */
export type DataChange =
  | DataWrite
  | { readonly kind: 'size'; readonly seq: number; readonly size: number }
  | { readonly kind: 'zero'; readonly seq: number; readonly start: number; readonly bytes: number }

const capacityBytesMin = 4096

export class Content {
  #buffer: Buffer
  #size: number

  constructor(bytes: Buffer = Buffer.alloc(0)) {
    this.#buffer = bytes
    this.#size = bytes.length
  }

  get size(): number {
    return this.#size
  }

  /** Valid until the next change. */
  get bytes(): Buffer {
    return this.#buffer.subarray(0, this.#size)
  }

  clone(): Content {
    return new Content(Buffer.from(this.bytes))
  }

  apply(change: DataChange): void {
    switch (change.kind) {
      case 'write':
        this.put(change.data, change.start)
        break
      case 'size':
        this.resize(change.size)
        break
      case 'zero': {
        const end = Math.min(change.start + change.bytes, this.#size)
        if (end > change.start) this.#buffer.fill(0, change.start, end)
        break
      }
      default:
        change satisfies never
    }
  }

  put(data: Buffer, start: number): void {
    const end = start + data.length
    this.#reserve(end)
    data.copy(this.#buffer, start)
    this.#size = Math.max(this.#size, end)
  }

  /** Shorter: what was behind the end is gone. Longer: zeros. */
  resize(size: number): void {
    if (size < this.#size) this.#buffer.fill(0, size, this.#size)
    this.#reserve(size)
    this.#size = size
  }

  #reserve(bytes: number): void {
    if (bytes <= this.#buffer.length) return
    const larger = Buffer.alloc(Math.max(bytes, this.#buffer.length * 2, capacityBytesMin))
    this.#buffer.copy(larger, 0, 0, this.#size)
    this.#buffer = larger
  }
}
