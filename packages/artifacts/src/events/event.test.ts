/** Two events of a log as golden files, which other implementations computed (06 §5, §20). */
import { readFileSync } from 'node:fs'
import { blake3 } from '@noble/hashes/blake3.js'
import { encode, rfc8949EncodeOptions } from 'cborg'
import { expect, test } from 'vitest'
import type { CanonicalMap } from '../canon/value.ts'
import { chainDigest, chainStart, encodePayload, payloadDigest } from './event.ts'

interface GoldenEvent {
  readonly sequence: number
  readonly created_at: number
  readonly event_type: string
  readonly subject_kind: string
  readonly subject_id: string
  readonly actor: string
  readonly payload_value: CanonicalMap
  /** Hexadecimal digits, as what follows. */
  readonly payload: string
  readonly payload_digest: string
  readonly chain_digest: string
}

const url = new URL('../../vectors/golden/events.json', import.meta.url)
const golden = JSON.parse(readFileSync(url, 'utf8')) as readonly GoldenEvent[]
const hexOf = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')

test('events are encoded, digested and chained as the golden file says, and as other libraries compute it', () => {
  expect(golden).toHaveLength(2)
  let chain = chainStart
  for (const { payload_value, payload, payload_digest: digest, chain_digest, ...fields } of golden) {
    const encoded = encodePayload(payload_value)
    expect(hexOf(encoded)).toBe(payload)
    expect(hexOf(encode(payload_value, rfc8949EncodeOptions))).toBe(payload)
    expect(hexOf(payloadDigest(encoded))).toBe(digest)
    expect(hexOf(blake3(encoded))).toBe(digest)
    const { sequence, created_at, event_type, subject_kind, subject_id, actor } = fields
    const tied = encode([sequence, created_at, event_type, subject_kind, subject_id, actor, digest])
    const others = blake3(Buffer.concat([chain, tied]))
    chain = chainDigest(chain, { ...fields, payload_digest: Buffer.from(digest, 'hex') })
    expect([hexOf(chain), hexOf(others)]).toEqual([chain_digest, chain_digest])
  }
})
