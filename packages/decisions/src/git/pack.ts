/** Objects as a pack and its index, as git reads them (gitformat-pack, versions 2). */
import { createHash } from 'node:crypto'
import { crc32, deflateSync } from 'node:zlib'
import type { GitObject, ObjectFormat, ObjectType } from './git-object.ts'

/** The bytes of the two files. */
export interface EncodedPack {
  readonly pack: Buffer
  readonly index: Buffer
}

interface Entry {
  readonly id: Buffer
  readonly offset: number
  readonly crc: number
}

const typeNumbers: Readonly<Record<ObjectType, number>> = { commit: 1, tree: 2, blob: 3 }
const packVersion = 2
const headerBytes = 12
const indexMagic = Buffer.from([0xff, 0x74, 0x4f, 0x63, 0, 0, 0, 2])
/**
 * Smaller objects are put down as they are, in one stored block (RFC 1951): compressing them would take most of the time of
 * an append and save a third of their room, and a repack compresses everything anyway.
 */
const storedBytesMax = 1_024
const compressionLevel = 1
/** An index of this form has no room for more without its extension. */
const packBytesMax = 2 ** 31 - 1

/** @throws RangeError when it would have 2 GiB or more */
export function encodePack(format: ObjectFormat, objects: readonly GitObject[]): EncodedPack {
  const unique = new Map(objects.map((object) => [object.id.toString('latin1'), object]))
  const header = Buffer.alloc(headerBytes)
  header.write('PACK')
  header.writeUInt32BE(packVersion, 4)
  header.writeUInt32BE(unique.size, 8)
  const parts: Buffer[] = [header]
  const entries: Entry[] = []
  let offset = headerBytes
  for (const { id, type, body } of unique.values()) {
    const bytes = Buffer.concat([entryHeader(type, body.length), compress(body)])
    parts.push(bytes)
    entries.push({ id, offset, crc: crc32(bytes) })
    offset += bytes.length
    if (offset > packBytesMax) throw new RangeError('a pack of 2 GiB or more')
  }
  const content = Buffer.concat(parts)
  const checksum = createHash(format).update(content).digest()
  return {
    pack: Buffer.concat([content, checksum]),
    index: encodeIndex(format, entries, checksum),
  }
}

function compress(body: Buffer): Buffer {
  if (body.length > storedBytesMax) return deflateSync(body, { level: compressionLevel })
  const head = Buffer.from([0x78, 0x01, 0x01, 0, 0, 0, 0])
  head.writeUInt16LE(body.length, 3)
  head.writeUInt16LE(~body.length & 0xffff, 5)
  const check = Buffer.alloc(4)
  check.writeUInt32BE(adler32(body))
  return Buffer.concat([head, body, check])
}

/** The checksum of a zlib stream (RFC 1950), of few bytes: the sums stay exact without a modulus in between. */
function adler32(bytes: Buffer): number {
  let low = 1
  let high = 0
  for (const byte of bytes) {
    low += byte
    high += low
  }
  return (high % 65_521) * 65_536 + (low % 65_521)
}

/** Type and size: four bits of the size, then seven in each byte, the lowest first. */
function entryHeader(type: ObjectType, size: number): Buffer {
  const bytes: number[] = []
  let current = (typeNumbers[type] << 4) | (size & 0x0f)
  for (let rest = size >>> 4; rest > 0; rest >>>= 7) {
    bytes.push(current | 0x80)
    current = rest & 0x7f
  }
  bytes.push(current)
  return Buffer.from(bytes)
}

function encodeIndex(format: ObjectFormat, entries: readonly Entry[], packChecksum: Buffer): Buffer {
  const sorted = [...entries].sort((left, right) => Buffer.compare(left.id, right.id))
  const fanout = Buffer.alloc(256 * 4)
  const counts = new Uint32Array(256)
  for (const { id } of sorted) counts[id[0] ?? 0] = (counts[id[0] ?? 0] ?? 0) + 1
  for (let first = 0, total = 0; first < 256; first += 1) {
    total += counts[first] ?? 0
    fanout.writeUInt32BE(total, first * 4)
  }
  const crcs = Buffer.alloc(sorted.length * 4)
  const offsets = Buffer.alloc(sorted.length * 4)
  for (const [place, { crc, offset }] of sorted.entries()) {
    crcs.writeUInt32BE(crc, place * 4)
    offsets.writeUInt32BE(offset, place * 4)
  }
  const content = Buffer.concat([indexMagic, fanout, ...sorted.map(({ id }) => id), crcs, offsets, packChecksum])
  return Buffer.concat([content, createHash(format).update(content).digest()])
}
