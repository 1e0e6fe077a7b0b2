import { type DeliveryItem, encodeEnvelope } from '@claudemesh/protocol'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { memberIdOf, messageIdOf } from '../../../../test/support/inbox-drafts.ts'
import { SealingMembers } from '../../../../test/support/sealing-members.ts'
import type { MessageContent } from '../inbox/inbox.ts'
import { readContent } from './open.ts'

const envelope = (meta: string, body: string | Uint8Array) =>
  encodeEnvelope({ metaCanonicalJson: meta, body: typeof body === 'string' ? Buffer.from(body) : body })

describe('the content of a message', () => {
  const readable: readonly { name: string; bytes: Buffer; body: string; meta: object | null }[] = [
    { name: 'a body alone', bytes: envelope('', 'hello'), body: 'hello', meta: null },
    { name: 'an empty body', bytes: envelope('', ''), body: '', meta: null },
    { name: 'a body with meta', bytes: envelope('{"a":1}', 'hello'), body: 'hello', meta: { a: 1 } },
    { name: 'a body that begins with a byte order mark', bytes: envelope('', '\ufeffx'), body: '\ufeffx', meta: null },
    { name: 'a body with a zero byte', bytes: envelope('', 'a\u0000b'), body: 'a\u0000b', meta: null },
  ]
  for (const { name, bytes, body, meta } of readable) {
    test(`is ${name}`, () => {
      expect(readContent(bytes)).toEqual({ opened: true, body, meta })
    })
  }

  const unreadable: readonly { name: string; bytes: Buffer }[] = [
    { name: 'nothing', bytes: Buffer.alloc(0) },
    { name: 'bytes that are no envelope', bytes: Buffer.from('xx') },
    { name: 'a length beyond the end', bytes: Buffer.from([255, 255, 255, 255, 1]) },
    { name: 'meta that is no object', bytes: envelope('[1]', 'x') },
    { name: 'meta that is no JSON', bytes: envelope('{', 'x') },
    { name: 'meta nested beyond all sense', bytes: envelope(`{"a":${'['.repeat(50_000)}${']'.repeat(50_000)}}`, 'x') },
    { name: 'meta with a zero byte', bytes: envelope('{"a":"\\u0000"}', 'x') },
    { name: 'a body that is not UTF-8', bytes: envelope('', Buffer.from([0xc3, 0x28])) },
  ]
  for (const { name, bytes } of unreadable) {
    test(`is not ${name}`, () => {
      expect(readContent(bytes)).toBeNull()
    })
  }

  test('never makes the reader throw, whatever the bytes', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => readContent(bytes) !== undefined))
  })

  test('comes out as any sender put it in', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 200 }), (body) => {
        expect(readContent(envelope('', body))).toEqual({ opened: true, body, meta: null })
      }),
    )
  })
})

describe('opening', () => {
  const sealing = new SealingMembers()
  const open = (item: DeliveryItem, as = 'me') =>
    sealing.openerOf(as)({ ...item, bytes: Buffer.from(item.sealed, 'base64') })
  const reasonOf = (content: MessageContent) => (content.opened ? null : content.reason)

  test('gives what the named sender sealed for this member', () => {
    const item = sealing.delivery(1, { text: 'hello', metaCanonicalJson: '{"pr":17}' })
    expect(open(item)).toEqual({ opened: true, body: 'hello', meta: { pr: 17 } })
  })

  test('is refused to whom it was not sealed for', () => {
    expect(reasonOf(open(sealing.delivery(1), 'eve'))).toBe('not_a_recipient')
  })

  const lies: readonly { name: string; differing: Partial<DeliveryItem> }[] = [
    { name: 'sender', differing: { sender: memberIdOf('mallory') } },
    { name: 'id of the client', differing: { client_message_id: 'other' } },
    { name: 'destination', differing: { destination: { kind: 'topic', ref: 'builds' } } },
    { name: 'message replied to', differing: { reply_to: messageIdOf(7) } },
    { name: 'priority', differing: { priority: 'now' } },
  ]
  for (const { name, differing } of lies) {
    test(`is refused when the broker claims another ${name}`, () => {
      const item = { ...sealing.delivery(1), ...differing }
      expect(open(item)).toMatchObject({ opened: false, reason: 'header_mismatch' })
    })
  }

  test('of a sender whose key is not known keeps the bytes as they came', () => {
    sealing.boxOf('bob')
    const item = sealing.delivery(1, { sender: memberIdOf('bob') })
    sealing.estrange('bob')
    const sealed = Buffer.from(item.sealed, 'base64')
    expect(open(item)).toEqual({ opened: false, sealed, reason: 'sender_unknown' })
  })

  test('of what is authentic and no message says so', () => {
    const item = sealing.delivery(1)
    const sealed = sealing.seal(item, { plaintext: Buffer.from('xx'), recipients: ['me'] }).toString('base64')
    expect(reasonOf(open({ ...item, sealed }))).toBe('content_unreadable')
  })

  test('is refused when any single bit of the bytes is another', () => {
    const item = sealing.delivery(1, { for: ['me', 'alice', 'carol'] })
    const bytes = Buffer.from(item.sealed, 'base64')
    fc.assert(
      fc.property(fc.integer({ min: 0, max: bytes.length * 8 - 1 }), (bit) => {
        const flipped = Buffer.from(bytes)
        flipped.writeUInt8(flipped.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3)
        expect(open({ ...item, sealed: flipped.toString('base64') }).opened).toBe(false)
      }),
      { numRuns: 500 },
    )
  })
})
