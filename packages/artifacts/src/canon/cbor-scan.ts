/**
 * Checks that bytes are one canonical value in CBOR by the core deterministic rules (RFC 8949, 4.2.1; 06 §3), before
 * anything is built of them.
 *
 * 1. Iterative, with a stack of at most 32 containers: no input can exhaust the stack.
 * 2. A declared length or count is compared with the bytes that are left before it is believed: 2^64 - 1 costs nothing.
 * 3. The first fault in the order of the stream is the one that is named. Of one item: its head is complete, well-formed,
 *    shortest, in range; then its type; then its length; then what its text holds; a map key's order comes after the key.
 *
 * What passes is exactly what `encodeCanonical` writes.
 */
import { isUtf8 } from 'node:buffer'
import type { ErrorCode } from '@claudemesh/protocol'
import { ArtifactError } from '../artifact-error.ts'
import { type CanonicalLimits, itemsMax, nestingMax } from './value.ts'

/** A container whose items are still coming. */
interface Container {
  readonly isMap: boolean
  /** Items to come; a map has two for each of its entries. */
  left: number
  /** Where the last key stands, its head included; maps only. */
  keyStart: number
  keyEnd: number
}

interface Head {
  readonly major: number
  /** The number in the head. Inexact above 2^53, which no check below depends on. */
  readonly argument: number
  /** Where the item's content begins. */
  readonly end: number
}

/** @throws ArtifactError with one of the `cbor_*` codes and the offset in its sentence */
export function scanCanonical(bytes: Buffer, limits: CanonicalLimits): void {
  if (bytes.length > limits.maxBytes) throw fault('cbor_too_large', 0, `more than ${limits.maxBytes} bytes`)
  const stack: Container[] = []
  let position = 0
  let items = 0
  do {
    const start = position
    items += 1
    if (items > itemsMax) throw fault('cbor_too_large', start, `more than ${itemsMax} items`)
    const parent = stack.at(-1)
    const isKey = parent?.isMap === true && parent.left % 2 === 0
    const head = readHead(bytes, start)
    checkType(head, start, isKey)
    position = head.end
    if (head.major === 3) {
      position = scanText(bytes, head, start)
      if (isKey) checkKeyOrder(bytes, parent, { start, end: position })
    }
    if (parent !== undefined) parent.left -= 1
    if (head.major === 4 || head.major === 5) enter(stack, head, { start, rest: bytes.length - head.end })
    while (stack.at(-1)?.left === 0) stack.pop()
  } while (stack.length > 0)
  if (position !== bytes.length) throw fault('cbor_trailing', position, 'bytes after the one item')
}

function enter(stack: Container[], head: Head, o: { readonly start: number; readonly rest: number }): void {
  const isMap = head.major === 5
  const left = isMap ? 2 * head.argument : head.argument
  if (left > o.rest) throw fault('cbor_truncated', o.start, 'a count that the rest cannot hold')
  if (stack.length >= nestingMax) throw fault('cbor_too_deep', o.start, `more than ${nestingMax} nested containers`)
  stack.push({ isMap, left, keyStart: -1, keyEnd: -1 })
}

/** Bytes that follow the first byte of a head, by its additional information. */
const argumentBytes: Readonly<Record<number, number>> = { 24: 1, 25: 2, 26: 4, 27: 8 }
/** The smallest number that needs so many bytes. */
const smallestIn: Readonly<Record<number, number>> = { 1: 24, 2: 0x100, 4: 0x1_0000, 8: 0x1_0000_0000 }

/** Reads the head of an item. @throws ArtifactError when it is not complete, well-formed, shortest and in range */
export function readHead(bytes: Buffer, start: number): Head {
  const first = bytes[start]
  if (first === undefined) throw fault('cbor_truncated', start, 'the end instead of an item')
  const major = first >> 5
  const info = first & 31
  if (info >= 28) throw fault(info === 31 && isOpenEnded(major) ? 'cbor_indefinite' : 'cbor_malformed', start, 'a head')
  const width = argumentBytes[info] ?? 0
  const end = start + 1 + width
  if (end > bytes.length) throw fault('cbor_truncated', start, 'a head that is cut off')
  const argument = width === 0 ? info : readArgument(bytes, start + 1, width)
  if (major === 7) {
    if (width === 1 && argument < 32) throw fault('cbor_malformed', start, 'a simple value below 32 in two bytes')
    return { major, argument: width > 1 ? -1 : argument, end }
  }
  if (width > 0 && argument < (smallestIn[width] ?? 0)) throw fault('cbor_non_shortest', start, 'a head too long')
  if (major <= 1 && argument > Number.MAX_SAFE_INTEGER - major) {
    throw fault('cbor_int_range', start, 'an integer beyond 2^53 - 1')
  }
  return { major, argument, end }
}

/** Majors that may have an indefinite length, and the break that ends one. */
function isOpenEnded(major: number): boolean {
  return (major >= 2 && major <= 5) || major === 7
}

function readArgument(bytes: Buffer, start: number, width: number): number {
  return width === 8
    ? bytes.readUInt32BE(start) * 0x1_0000_0000 + bytes.readUInt32BE(start + 4)
    : bytes.readUIntBE(start, width)
}

function checkType(head: Head, start: number, isKey: boolean): void {
  const { major, argument } = head
  if (major === 2) throw fault('cbor_bytes', start, 'a byte string')
  if (major === 6) throw fault('cbor_tag', start, 'a tag')
  if (major === 7 && argument === -1) throw fault('cbor_float', start, 'a floating-point number')
  if (major === 7 && (argument < 20 || argument > 22)) {
    throw fault('cbor_simple', start, 'a simple value other than false, true and null')
  }
  if (isKey && major !== 3) throw fault('cbor_key_type', start, 'a map key that is not text')
}

/** @returns where the text ends */
function scanText(bytes: Buffer, head: Head, start: number): number {
  if (head.argument > bytes.length - head.end) throw fault('cbor_truncated', start, 'a text that is cut off')
  const end = head.end + head.argument
  const text = bytes.subarray(head.end, end)
  if (!isUtf8(text)) throw fault('cbor_bad_utf8', start, 'a text that is not well-formed UTF-8')
  if (text.includes(0)) throw fault('cbor_nul', start, 'a text with U+0000')
  return end
}

function checkKeyOrder(bytes: Buffer, map: Container, key: { readonly start: number; readonly end: number }): void {
  if (map.keyStart >= 0) {
    const order = Buffer.compare(bytes.subarray(map.keyStart, map.keyEnd), bytes.subarray(key.start, key.end))
    if (order === 0) throw fault('cbor_duplicate_key', key.start, 'a key that the map has already')
    if (order > 0) throw fault('cbor_unsorted_keys', key.start, 'a key that sorts before the one in front of it')
  }
  map.keyStart = key.start
  map.keyEnd = key.end
}

function fault(code: ErrorCode, offset: number, what: string): ArtifactError {
  return new ArtifactError(code, { detail: `The CBOR has ${what} at byte ${offset}.` })
}
