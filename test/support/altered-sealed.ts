/** Sealed messages with one bit changed, in each of their parts. The layout is that of packages/sealing. */

const lengths = { version: 1, headerLength: 4, nonce: 24, count: 2, keyId: 16, wrappedKey: 48, tag: 16, seal: 32 }

/** A part of a sealed message: bytes `start` to before `end`. */
export interface SealedPart {
  readonly name: string
  readonly start: number
  readonly end: number
}

/** All parts, side by side, without gaps. */
export function partsOf(sealed: Buffer): SealedPart[] {
  const parts: SealedPart[] = []
  const add = (name: string, length: number) => {
    const start = parts.at(-1)?.end ?? 0
    parts.push({ name, start, end: start + length })
  }
  add('version', lengths.version)
  add('header length', lengths.headerLength)
  add('header', sealed.readUInt32BE(lengths.version))
  add('content nonce', lengths.nonce)
  const countAt = parts.at(-1)?.end ?? 0
  add('count of wraps', lengths.count)
  for (let n = 0; n < sealed.readUInt16BE(countAt); n += 1) {
    add(`key id of wrap ${n}`, lengths.keyId)
    add(`nonce of wrap ${n}`, lengths.nonce)
    add(`wrapped key ${n}`, lengths.wrappedKey)
  }
  const ciphertextBytes = sealed.length - (parts.at(-1)?.end ?? 0) - lengths.tag - lengths.seal
  if (ciphertextBytes <= 0) throw new Error('these bytes are no sealed message of the layout that this test knows')
  add('ciphertext', ciphertextBytes)
  add('tag', lengths.tag)
  add('seal', lengths.seal)
  return parts
}

/** @param random in [0, 1) */
export function flipBit(sealed: Buffer, part: SealedPart, random: () => number): Buffer {
  const altered = Buffer.from(sealed)
  const at = part.start + Math.floor(random() * (part.end - part.start))
  altered.writeUInt8(altered.readUInt8(at) ^ (1 << Math.floor(random() * 8)), at)
  return altered
}
