/**
 * Of one message there is one content, also when the sender is who cheats. Poly1305 does not see to that: whoever
 * chooses two keys can make one ciphertext that is authentic under both. Such a ciphertext is made here.
 */
import { createCipheriv, randomBytes } from 'node:crypto'
import { generateBoxKeyPair } from '@claudemesh/identity'
import { expect, test } from 'vitest'
import { encodeHeader, type SealHeader } from './header.ts'
import { open } from './open.ts'
import { PairwiseKeys } from './pairwise-keys.ts'
import { writeSealed } from './sealed-bytes.ts'
import { bindingOf, wrapKey } from './wrap.ts'
import { decrypt, deriveSubkey } from './xchacha.ts'

const header: SealHeader = {
  meshId: '01JZ9Y4M5Q7R8S9T0V1W2X3Y4Z',
  sender: 'a1'.repeat(32),
  senderEpoch: 0,
  clientMessageId: 'deploy-42',
  destination: { kind: 'topic', ref: 'alerts' },
  replyTo: null,
  priority: 'next',
  recipientsEpoch: 7,
}

test('a ciphertext that opens under two content keys opens for those alone whose key the seal is made with', () => {
  const associatedData = encodeHeader(header)
  const nonce = randomBytes(24)
  const contentKeys = [randomBytes(32), randomBytes(32)] as const
  const ciphertext = makeAmbiguous({ keys: contentKeys, nonce, associatedData })
  const contents = contentKeys.map((key) => decrypt({ key, nonce, associatedData, ciphertext }))
  expect(contents[0], 'the cipher alone takes both').not.toBe(null)
  expect(contents[1], 'the cipher alone takes both').not.toBe(null)
  expect(contents[0]).not.toEqual(contents[1])

  const sender = generateBoxKeyPair()
  const sending = new PairwiseKeys({ box: sender, max: 8 })
  const boxKeys = [generateBoxKeyPair(), generateBoxKeyPair()]
  const keys = boxKeys.map((box) => new PairwiseKeys({ box, max: 8 }))
  const wraps = contentKeys.map((contentKey, index) =>
    wrapKey({
      keyId: present(keys[index]).keyId,
      key: present(sending.keyFor(present(boxKeys[index]).publicKey)),
      nonce: randomBytes(24),
      binding: bindingOf({ header: associatedData, ciphertext }),
      contentKey,
    }),
  )
  for (const [index, contentKey] of contentKeys.entries()) {
    const sealed = writeSealed({ header: associatedData, nonce, wraps, ciphertext }, contentKey)
    const openings = keys.map((own) =>
      open({ sealed, expected: header, senderBoxKey: () => sender.publicKey, keys: [own] }),
    )
    expect(openings[index]).toEqual({ ok: true, plaintext: contents[index], header })
    expect(openings[1 - index]).toEqual({ ok: false, reason: 'not_authentic' })
  }
})

/*
 * Poly1305 is a polynomial of the blocks in r modulo 2^130 - 5, plus s modulo 2^128. For a tag that is chosen, two keys
 * give two equations, and two blocks of the ciphertext solve them. That the solutions are blocks, and not larger, takes
 * some sixteen attempts.
 */
const prime = 2n ** 130n - 5n
const blockMax = 2n ** 128n

interface AmbiguousInput {
  readonly keys: readonly [Buffer, Buffer]
  readonly nonce: Buffer
  readonly associatedData: Buffer
}

function makeAmbiguous({ keys, nonce, associatedData }: AmbiguousInput): Buffer {
  const [first, second] = [macKey(keys[0], nonce), macKey(keys[1], nonce)]
  for (let attempt = 0; attempt < 10_000; attempt += 1) {
    const [filler, tag] = [randomBytes(16), randomBytes(16)]
    // Of the ciphertext filler | x | y: what all blocks but x and y amount to, with x and y as zero.
    const blocks = blocksOf(associatedData, Buffer.concat([filler, Buffer.alloc(32)]))
    const [b1, b2] = [missing(first, blocks, tag), missing(second, blocks, tag)]
    // Only the block of lengths comes after y: x counts r^3 and y counts r^2.
    const [x1, y1, x2, y2] = [first.r ** 3n, first.r ** 2n, second.r ** 3n, second.r ** 2n]
    const determinant = inverse(x1 * y2 - x2 * y1)
    const x = modulo((b1 * y2 - b2 * y1) * determinant, prime)
    const y = modulo((x1 * b2 - x2 * b1) * determinant, prime)
    if (x < blockMax && y < blockMax) return Buffer.concat([filler, toBlock(x), toBlock(y), tag])
  }
  throw new Error('no solution was found, which happens to nobody')
}

interface MacKey {
  readonly r: bigint
  readonly s: bigint
}

/** RFC 8439 §2.6: the first bytes of the key stream, some of them cleared. */
function macKey(key: Buffer, nonce: Buffer): MacKey {
  const start = Buffer.concat([Buffer.alloc(8), nonce.subarray(16)])
  const stream = createCipheriv('chacha20', deriveSubkey(key, nonce.subarray(0, 16)), start).update(Buffer.alloc(32))
  return { r: toNumber(stream.subarray(0, 16)) & 0x0ffffffc0ffffffc0ffffffc0fffffffn, s: toNumber(stream.subarray(16)) }
}

function missing({ r, s }: MacKey, blocks: readonly Buffer[], tag: Buffer): bigint {
  const rest = blocks.reduce((sum, block) => modulo((sum + toNumber(block) + blockMax) * r, prime), 0n)
  return modulo(modulo(toNumber(tag) - s, blockMax) - rest, prime)
}

/** RFC 8439 §2.8: associated data and ciphertext, each filled up to blocks, then their lengths. */
function blocksOf(associatedData: Buffer, ciphertext: Buffer): Buffer[] {
  const fill = Buffer.alloc((16 - (associatedData.length % 16)) % 16)
  const lengths = Buffer.alloc(16)
  lengths.writeUInt32LE(associatedData.length)
  lengths.writeUInt32LE(ciphertext.length, 8)
  const bytes = Buffer.concat([associatedData, fill, ciphertext, lengths])
  return Array.from({ length: bytes.length / 16 }, (_, index) => bytes.subarray(16 * index, 16 * index + 16))
}

function inverse(value: bigint): bigint {
  // By Fermat: the power of two less than the prime.
  let [result, base, exponent] = [1n, modulo(value, prime), prime - 2n]
  for (; exponent > 0n; exponent >>= 1n) {
    if (exponent & 1n) result = modulo(result * base, prime)
    base = modulo(base * base, prime)
  }
  return result
}

function modulo(value: bigint, modulus: bigint): bigint {
  return ((value % modulus) + modulus) % modulus
}

function toNumber(littleEndian: Buffer): bigint {
  return BigInt(`0x${Buffer.from(littleEndian).reverse().toString('hex')}`)
}

function toBlock(value: bigint): Buffer {
  return Buffer.from(value.toString(16).padStart(32, '0'), 'hex').reverse()
}

function present<T>(value: T | null | undefined): T {
  if (value === null || value === undefined) throw new Error('the test begins with something that is not there')
  return value
}
