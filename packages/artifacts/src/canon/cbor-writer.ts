import type { CanonicalMap, CanonicalValue } from './value.ts'

/** Writes canonical values one after the other into bytes that grow as needed. Its callers have checked the values. */
export class CborWriter {
  #buffer = Buffer.allocUnsafe(512)
  #length = 0

  /** What was written so far, in memory of its own. */
  bytes(): Uint8Array {
    return Uint8Array.prototype.slice.call(this.#buffer, 0, this.#length)
  }

  value(value: CanonicalValue): void {
    if (typeof value === 'string') this.#text(value)
    else if (typeof value === 'number') this.#integer(value)
    else if (value === null) this.#head(7, 22)
    else if (typeof value === 'boolean') this.#head(7, value ? 21 : 20)
    else if (isArray(value)) {
      this.#head(4, value.length)
      for (const item of value) this.value(item)
    } else this.#map(value)
  }

  #integer(number: number): void {
    if (number >= 0) this.#head(0, number)
    else this.#head(1, -1 - number)
  }

  #text(text: string): void {
    const length = Buffer.byteLength(text)
    this.#head(3, length)
    this.#reserve(length)
    this.#length += this.#buffer.write(text, this.#length, 'utf8')
  }

  #map(map: CanonicalMap): void {
    const keys = Object.keys(map).map((key) => ({ key, bytes: Buffer.from(key) }))
    // The order of their encodings: those begin with the length, so a shorter key comes first.
    keys.sort((a, b) => a.bytes.length - b.bytes.length || a.bytes.compare(b.bytes))
    this.#head(5, keys.length)
    for (const { key } of keys) {
      this.#text(key)
      this.value(map[key] as CanonicalValue)
    }
  }

  /** The first byte of an item and its number, in the fewest bytes. */
  #head(major: number, argument: number): void {
    this.#reserve(9)
    const first = major << 5
    if (argument < 24) this.#length = this.#buffer.writeUInt8(first | argument, this.#length)
    else if (argument < 0x100) this.#argument(first | 24, argument, 1)
    else if (argument < 0x1_0000) this.#argument(first | 25, argument, 2)
    else if (argument < 0x1_0000_0000) this.#argument(first | 26, argument, 4)
    else {
      this.#argument(first | 27, Math.floor(argument / 0x1_0000_0000), 4)
      this.#length = this.#buffer.writeUInt32BE(argument % 0x1_0000_0000, this.#length)
    }
  }

  #argument(first: number, argument: number, width: number): void {
    this.#length = this.#buffer.writeUInt8(first, this.#length)
    this.#length = this.#buffer.writeUIntBE(argument, this.#length, width)
  }

  #reserve(more: number): void {
    const needed = this.#length + more
    if (needed <= this.#buffer.length) return
    const grown = Buffer.allocUnsafe(Math.max(needed, 2 * this.#buffer.length))
    this.#buffer.copy(grown, 0, 0, this.#length)
    this.#buffer = grown
  }
}

function isArray(value: readonly CanonicalValue[] | CanonicalMap): value is readonly CanonicalValue[] {
  return Array.isArray(value)
}
