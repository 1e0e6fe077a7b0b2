import { readFileSync } from 'node:fs'
import { sha256 } from '@noble/hashes/sha2.js'
import { bytesToHex, concatBytes, utf8ToBytes } from '@noble/hashes/utils.js'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isCarriableText, type JsonObject } from './canonical-json.ts'
import type { Destination } from './destination.ts'
import {
  canonicalMeta,
  type FingerprintInput,
  fingerprintPrefix,
  type Priority,
  requestFingerprint,
  wireFingerprint,
} from './fingerprint.ts'

interface Vector {
  readonly name: string
  readonly destination: Destination
  readonly reply_to_id: string | null
  readonly priority: Priority
  readonly body_hash: string
  readonly fingerprint: string
}
const vectors = JSON.parse(readFileSync(new URL('../vectors/fingerprint.json', import.meta.url), 'utf8')) as {
  readonly envelope_version: string
  readonly plaintext: readonly (Vector & {
    readonly meta: JsonObject | null
    readonly meta_canonical_json: string
    readonly body_base64: string
  })[]
  readonly wire: readonly (Vector & { readonly sealed_base64: string })[]
}

/** The definition of the specification, byte by byte, with another implementation of SHA-256. */
function independentFingerprint(input: FingerprintInput): string {
  const fields = ['1', input.destination.kind, input.destination.ref, input.replyToId ?? '', input.priority]
  const separated = fields.flatMap((field) => [utf8ToBytes(field), Uint8Array.of(0)])
  const meta = [utf8ToBytes(input.metaCanonicalJson), Uint8Array.of(0)]
  return bytesToHex(sha256(concatBytes(...separated, ...meta, utf8ToBytes(bytesToHex(sha256(input.body))))))
}

const text = fc.string({ unit: 'grapheme' }).filter(isCarriableText)
const input: fc.Arbitrary<FingerprintInput> = fc.record({
  destination: fc.record({ kind: fc.constantFrom('dm', 'topic', 'queue'), ref: text }),
  replyToId: fc.option(text),
  priority: fc.constantFrom('now', 'next', 'low'),
  metaCanonicalJson: text,
  body: fc.uint8Array({ maxLength: 200 }),
})

describe('the plaintext vectors', () => {
  test.each(vectors.plaintext)('$name', (vector) => {
    const body = Buffer.from(vector.body_base64, 'base64')
    const { destination, priority, reply_to_id: replyToId } = vector
    const metaCanonicalJson = canonicalMeta(vector.meta)
    expect(metaCanonicalJson).toBe(vector.meta_canonical_json)
    expect(bytesToHex(sha256(body))).toBe(vector.body_hash)
    const fingerprint = requestFingerprint({ destination, replyToId, priority, metaCanonicalJson, body })
    expect(fingerprint.toString('hex')).toBe(vector.fingerprint)
    expect(independentFingerprint({ destination, replyToId, priority, metaCanonicalJson, body })).toBe(
      vector.fingerprint,
    )
  })
})

describe('the wire vectors', () => {
  test.each(vectors.wire)('$name', (vector) => {
    const sealed = Buffer.from(vector.sealed_base64, 'base64')
    const { destination, priority, reply_to_id: replyToId } = vector
    expect(bytesToHex(sha256(sealed))).toBe(vector.body_hash)
    expect(wireFingerprint({ destination, replyToId, priority, sealed }).toString('hex')).toBe(vector.fingerprint)
    expect(independentFingerprint({ destination, replyToId, priority, metaCanonicalJson: '', body: sealed })).toBe(
      vector.fingerprint,
    )
  })
})

test('every vector has a fingerprint of its own, but for the one that says it is as without meta', () => {
  const distinct = (list: readonly Vector[]) => new Set(list.map((vector) => vector.fingerprint)).size
  expect(distinct(vectors.plaintext)).toBe(vectors.plaintext.length - 1)
  expect(distinct(vectors.wire)).toBe(vectors.wire.length)
})

describe('a fingerprint', () => {
  test('is what the definition says, for any input', () => {
    fc.assert(
      fc.property(input, (send) => {
        expect(requestFingerprint(send).toString('hex')).toBe(independentFingerprint(send))
      }),
    )
  })

  test('of two sends is equal exactly when they are', () => {
    const comparable = (send: FingerprintInput) =>
      JSON.stringify({ ...send, replyToId: send.replyToId ?? '', body: [...send.body] })
    fc.assert(
      fc.property(input, input, fc.boolean(), (one, other, same) => {
        const two = same ? { ...one } : other
        expect(requestFingerprint(one).equals(requestFingerprint(two))).toBe(comparable(one) === comparable(two))
      }),
    )
  })

  test('changes when text moves from one field to its neighbour', () => {
    const base = { replyToId: null, priority: 'next', metaCanonicalJson: '', body: Buffer.alloc(0) } as const
    const one = requestFingerprint({ ...base, destination: { kind: 'topic', ref: 'ab' }, replyToId: 'c' })
    const two = requestFingerprint({ ...base, destination: { kind: 'topic', ref: 'a' }, replyToId: 'bc' })
    expect(one.equals(two)).toBe(false)
  })

  const refused: [name: string, ref: string][] = [
    ['U+0000', 'a\u0000b'],
    ['a lone surrogate', 'a\ud800b'],
  ]
  test.each(refused)('is refused to a field with %s', (_name, ref) => {
    const send = {
      destination: { kind: 'topic', ref },
      replyToId: null,
      priority: 'next',
      metaCanonicalJson: '',
      body: Buffer.alloc(0),
    } as const
    expect(() => requestFingerprint(send)).toThrow(TypeError)
  })

  test('is told to people by its first eight bytes', () => {
    expect(fingerprintPrefix(Uint8Array.from({ length: 32 }, (_, index) => index))).toBe('0001020304050607')
  })
})

describe('meta in a fingerprint', () => {
  const rows: [meta: JsonObject | null | undefined, canonical: string][] = [
    [undefined, ''],
    [null, ''],
    [{}, ''],
    [{ b: 1, a: [2, { d: 1, c: null }] }, '{"a":[2,{"c":null,"d":1}],"b":1}'],
  ]
  test.each(rows)('%j is %j', (meta, canonical) => {
    expect(canonicalMeta(meta)).toBe(canonical)
  })
})
