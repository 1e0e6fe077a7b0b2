import { canonicalJson } from '@claudemesh/protocol'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeHeader, encodeHeader, headerBytesMax, type SealHeader } from './header.ts'

const header: SealHeader = {
  meshId: '01JZ9Y4M5Q7R8S9T0V1W2X3Y4Z',
  sender: 'a1'.repeat(32),
  senderEpoch: 3,
  clientMessageId: 'deploy-42',
  destination: { kind: 'topic', ref: 'alerts' },
  replyTo: null,
  priority: 'next',
  recipientsEpoch: 7,
}
const text = encodeHeader(header).toString()

test('a header is written as canonical JSON in the spelling of the wire', () => {
  expect(text).toBe(
    `{"client_message_id":"deploy-42","destination":{"kind":"topic","ref":"alerts"},` +
      `"mesh_id":"01JZ9Y4M5Q7R8S9T0V1W2X3Y4Z","priority":"next","recipients_epoch":7,"reply_to":null,` +
      `"sender":"${'a1'.repeat(32)}","sender_epoch":3,"v":1}`,
  )
})

const name = fc.string({ maxLength: 64 })
const epoch = fc.nat(Number.MAX_SAFE_INTEGER)
const headers: fc.Arbitrary<SealHeader> = fc.record({
  meshId: name,
  sender: name,
  senderEpoch: epoch,
  clientMessageId: fc.string({ maxLength: 255 }),
  destination: fc.record({ kind: fc.constantFrom('dm', 'topic', 'queue'), ref: name }),
  replyTo: fc.option(name),
  priority: fc.constantFrom('now', 'next', 'low'),
  recipientsEpoch: fc.option(epoch),
})

test('every header is written as the canonical form of what it says', () => {
  const carriable = fc.string({ unit: 'binary', maxLength: 64 }).filter((value) => !value.includes('\u0000'))
  const any = headers.chain((header) => carriable.map((clientMessageId) => ({ ...header, clientMessageId })))
  fc.assert(
    fc.property(any, (header) => {
      const written = encodeHeader(header).toString('utf8')
      expect(written).toBe(canonicalJson(JSON.parse(written)))
      expect(decodeHeader(Buffer.from(written))).toEqual(header)
    }),
  )
})

test('every header is read as it was written', () => {
  fc.assert(
    fc.property(headers, (written) => {
      expect(decodeHeader(encodeHeader(written))).toEqual(written)
    }),
  )
})

test('the longest header is within the bound', () => {
  const longest = encodeHeader({
    meshId: '7'.repeat(26),
    sender: 'f'.repeat(64),
    senderEpoch: Number.MAX_SAFE_INTEGER,
    // The longest idempotency key, of a character that JSON writes as two.
    clientMessageId: '"'.repeat(255),
    destination: { kind: 'topic', ref: 'a'.repeat(64) },
    replyTo: '7'.repeat(26),
    priority: 'next',
    recipientsEpoch: Number.MAX_SAFE_INTEGER,
  })
  expect(longest.length).toBeLessThanOrEqual(headerBytesMax)
  expect(decodeHeader(longest)).not.toBe(null)
})

describe('what is not exactly the text of a header is refused', () => {
  const rows: { name: string; bytes: string | Buffer }[] = [
    { name: 'nothing', bytes: '' },
    { name: 'no JSON', bytes: text.slice(0, -1) },
    { name: 'something after it', bytes: `${text} ` },
    { name: 'something before it', bytes: `\ufeff${text}` },
    { name: 'white space in it', bytes: text.replace(',', ', ') },
    { name: 'members in another order', bytes: text.replace('{"cl', '{"v":1,"cl').replace(',"v":1}', '}') },
    { name: 'a member more', bytes: text.replace('"v":1', '"v":1,"w":1') },
    { name: 'a member twice', bytes: text.replace('"v":1', '"v":1,"v":1') },
    { name: 'a member of the destination more', bytes: text.replace('"ref":"alerts"', '"ref":"alerts","x":1') },
    { name: 'a prototype', bytes: text.replace('{"cl', '{"__proto__":{},"cl') },
    { name: 'another version', bytes: text.replace('"v":1', '"v":2') },
    { name: 'no version', bytes: text.replace(',"v":1', '') },
    { name: 'another kind of destination', bytes: text.replace('"topic"', '"room"') },
    { name: 'a destination that is a text', bytes: text.replace(/\{"kind".*?\}/, '"alerts"') },
    { name: 'no destination', bytes: text.replace(/"destination":\{.*?\},/, '') },
    { name: 'another priority', bytes: text.replace('"next"', '"never"') },
    { name: 'an epoch below zero', bytes: text.replace('"sender_epoch":3', '"sender_epoch":-3') },
    { name: 'an epoch of minus zero', bytes: text.replace('"sender_epoch":3', '"sender_epoch":-0') },
    { name: 'an epoch with a fraction', bytes: text.replace('"sender_epoch":3', '"sender_epoch":3.5') },
    { name: 'an epoch spelled otherwise', bytes: text.replace('"sender_epoch":3', '"sender_epoch":3.0') },
    { name: 'an epoch beyond exact numbers', bytes: text.replace('"sender_epoch":3', '"sender_epoch":1e300') },
    { name: 'an epoch that is null', bytes: text.replace('"sender_epoch":3', '"sender_epoch":null') },
    { name: 'a sender that is null', bytes: text.replace(`"${'a1'.repeat(32)}"`, 'null') },
    { name: 'U+0000 in a name', bytes: text.replace('deploy-42', 'deploy\\u0000') },
    { name: 'half a character in a name', bytes: text.replace('deploy-42', 'deploy\\ud800') },
    { name: 'a character spelled otherwise', bytes: text.replace('deploy', '\\u0064eploy') },
    { name: 'bytes that are not UTF-8', bytes: Buffer.concat([Buffer.from(text.slice(0, 22)), Buffer.of(0xff)]) },
    { name: 'an array', bytes: '[]' },
    { name: 'null', bytes: 'null' },
    { name: 'nesting without end', bytes: '['.repeat(headerBytesMax) },
    { name: 'more than is ever needed', bytes: text.replace('deploy-42', 'd'.repeat(headerBytesMax)) },
  ]
  for (const row of rows) {
    test(row.name, () => {
      const bytes = Buffer.from(row.bytes)
      expect(bytes.toString()).not.toBe(text)
      expect(decodeHeader(bytes)).toBe(null)
    })
  }

  test('any JSON and any bytes', () => {
    fc.assert(
      fc.property(fc.oneof(fc.json().map(Buffer.from), fc.uint8Array().map(Buffer.from)), (bytes) => {
        expect(decodeHeader(bytes)).toBe(null)
      }),
    )
  })
})
