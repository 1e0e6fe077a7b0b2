/**
 * Canonical values as CBOR by the core deterministic rules of RFC 8949, 4.2.1 (06 §3): `decodeCanonical(b)` succeeds exactly
 * when `encodeCanonical` of its result is `b`.
 *
 * Written here and not by a general library, because a log keeps these bytes for ever: the libraries that there are drop
 * a leading byte order mark, round integers, or replace what is not well-formed.
 */

import { readHead, scanCanonical } from './cbor-scan.ts'
import { CborWriter } from './cbor-writer.ts'
import {
  assertCanonical,
  type CanonicalLimits,
  type CanonicalMap,
  type CanonicalValue,
  payloadBytesMax,
} from './value.ts'

/**
 * The one encoding of a value.
 *
 * @throws ArtifactError `not_canonical` with the path of what has no canonical form
 */
export function encodeCanonical(value: unknown): Uint8Array {
  assertCanonical(value)
  const writer = new CborWriter()
  writer.value(value)
  return writer.bytes()
}

/**
 * Reads what `encodeCanonical` wrote, and nothing else. Maps come back as plain objects.
 *
 * @throws ArtifactError with the `cbor_*` code of the first fault in the stream; nothing was built then
 */
export function decodeCanonical(
  bytes: Uint8Array,
  limits: CanonicalLimits = { maxBytes: payloadBytesMax },
): CanonicalValue {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  scanCanonical(buffer, limits)
  return new Builder(buffer).value()
}

/** Builds the value of bytes that were scanned: nothing in it can fail, and it nests at most as deep as the scan allows. */
class Builder {
  readonly #bytes: Buffer
  #position = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  value(): CanonicalValue {
    const { major, argument, end } = readHead(this.#bytes, this.#position)
    this.#position = end
    switch (major) {
      case 0:
        return argument
      case 1:
        return -1 - argument
      case 3:
        return this.#text(argument)
      case 4:
        return Array.from({ length: argument }, () => this.value())
      case 5:
        return this.#map(argument)
      default:
        return simpleValues[argument] ?? null
    }
  }

  #text(length: number): string {
    const start = this.#position
    this.#position += length
    return this.#bytes.toString('utf8', start, this.#position)
  }

  #map(entries: number): CanonicalMap {
    const map: Record<string, CanonicalValue> = {}
    for (let entry = 0; entry < entries; entry += 1) {
      const key = this.value() as string
      const value = this.value()
      // By definition and not by assignment, for which `__proto__` would mean something.
      if (key === '__proto__') Object.defineProperty(map, key, { value, ...ordinary })
      else map[key] = value
    }
    return map
  }
}

const simpleValues: Readonly<Record<number, CanonicalValue>> = { 20: false, 21: true }
const ordinary = { enumerable: true, configurable: true, writable: true }
