import crypto, { randomBytes } from 'node:crypto'
import { syncBuiltinESMExports } from 'node:module'
import { type BoxKeyPair, generateBoxKeyPair } from '@claudemesh/identity'
import { encodeEnvelope, limits } from '@claudemesh/protocol'
import { afterEach, describe, expect, test, vi } from 'vitest'
import type { SealHeader } from './header.ts'
import { open } from './open.ts'
import { PairwiseKeys } from './pairwise-keys.ts'
import { type Recipient, seal } from './seal.ts'
import { readSealed } from './sealed-bytes.ts'

const alice = generateBoxKeyPair()
const bob = generateBoxKeyPair()
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
const plaintext = Buffer.from('Tests are GREEN on every host')

describe('who is sealed to', () => {
  test('everybody named can open, and gets the same', () => {
    const boxes = Array.from({ length: 5 }, generateBoxKeyPair)
    const sealed = sealFor(boxes)
    for (const box of boxes) expect(openAs(box, sealed)).toEqual({ ok: true, plaintext, header })
  })

  test('nobody else can open, not even the sender unless it is named', () => {
    const sealed = sealFor([bob])
    for (const box of [alice, generateBoxKeyPair()]) {
      expect(openAs(box, sealed)).toEqual({ ok: false, reason: 'not_a_recipient' })
    }
    expect(openAs(alice, sealFor([bob, alice]))).toEqual({ ok: true, plaintext, header })
  })

  test('a recipient that is taken away cannot open what is sealed again', () => {
    const carol = generateBoxKeyPair()
    expect(openAs(carol, sealFor([bob, carol])).ok).toBe(true)
    const again = sealFor([bob])
    expect(openAs(bob, again).ok).toBe(true)
    expect(openAs(carol, again)).toEqual({ ok: false, reason: 'not_a_recipient' })
  })

  test('the same key counts once, whoever has it', () => {
    const keys = keysOf(alice)
    const twice = [toRecipient(bob), { memberId: 'another', boxKey: bob.publicKey }]
    const sealed = seal({ header, plaintext, recipients: twice, keys, random: randomBytes })
    expect(wrapCountOf(sealed)).toBe(1)
    const many = Array.from({ length: limits.recipientsMax + 1 }, () => toRecipient(bob))
    expect(wrapCountOf(seal({ header, plaintext, recipients: many, keys, random: randomBytes }))).toBe(1)
  })

  test('a message for nobody is a mistake of the caller', () => {
    expect(() => sealFor([])).toThrow('a message is sealed for somebody')
  })
})

describe('a recipient with a key that shares nothing secret', () => {
  const unusable = ['00'.repeat(32), `01${'00'.repeat(31)}`, `ec${'ff'.repeat(30)}7f`, 'no key'].map((boxKey) => ({
    memberId: 'mallory',
    boxKey,
  }))

  test('gets no wrap, and keeps nobody else from getting one', () => {
    const recipients = [...unusable, toRecipient(bob)]
    const sealed = seal({ header, plaintext, recipients, keys: keysOf(alice), random: randomBytes })
    expect(wrapCountOf(sealed)).toBe(1)
    expect(openAs(bob, sealed).ok).toBe(true)
  })

  test('is named when nobody else is there', () => {
    const input = { header, plaintext, recipients: unusable, keys: keysOf(alice), random: randomBytes }
    expect(() => seal(input)).toThrow(
      expect.objectContaining({ code: 'recipient_key_unusable', data: { recipients: unusable.map(() => 'mallory') } }),
    )
  })
})

describe('sizes', () => {
  const boxes = Array.from({ length: limits.recipientsMax }, generateBoxKeyPair)
  /** Everything as long as it can be. An idempotency key of quotes takes the most room in JSON. */
  const longest: SealHeader = {
    ...header,
    senderEpoch: Number.MAX_SAFE_INTEGER,
    clientMessageId: '"'.repeat(255),
    destination: { kind: 'topic', ref: 'a'.repeat(64) },
    replyTo: '7'.repeat(26),
    recipientsEpoch: Number.MAX_SAFE_INTEGER,
  }

  test('512 recipients, the longest meta and the longest header are within the overhead of the protocol', () => {
    const body = randomBytes(limits.inlineBytesDefault)
    const metaCanonicalJson = JSON.stringify({ meta: 'm'.repeat(limits.metaBytesMax - '{"meta":""}'.length) })
    expect(Buffer.byteLength(metaCanonicalJson)).toBe(limits.metaBytesMax)
    const envelope = encodeEnvelope({ metaCanonicalJson, body })
    const sealed = seal({
      header: longest,
      plaintext: envelope,
      recipients: boxes.map(toRecipient),
      keys: new PairwiseKeys({ box: alice, max: 1 }),
      random: randomBytes,
    })
    expect(sealed.length - body.length).toBeLessThanOrEqual(limits.sealedOverheadBytesMax)
    expect(wrapCountOf(sealed)).toBe(limits.recipientsMax)
    for (const box of [boxes[0], boxes[255], boxes[511]]) {
      const opening = openAs(box ?? alice, sealed, longest)
      expect(opening.ok && opening.plaintext.equals(envelope)).toBe(true)
    }
  })

  test('one recipient more is refused', () => {
    expect(() => sealFor([...boxes, generateBoxKeyPair()])).toThrow(
      expect.objectContaining({
        code: 'too_many_recipients',
        data: { recipients: limits.recipientsMax + 1, recipients_max: limits.recipientsMax },
      }),
    )
  })

  test('the bytes are the content, 79 more, the header, and 88 per recipient', () => {
    const empty = { ...header, recipientsEpoch: null }
    for (const count of [1, 2, 3]) {
      const recipients = boxes.slice(0, count).map(toRecipient)
      const sealed = seal({ header: empty, plaintext, recipients, keys: keysOf(alice), random: randomBytes })
      const headerLength = readSealed(sealed)?.header.length ?? 0
      expect(sealed).toHaveLength(plaintext.length + 79 + headerLength + 88 * count)
    }
  })
})

describe('what is new with every message', () => {
  test('content key and nonces: the same message sealed twice has nothing in common but its header and key ids', () => {
    const [once, again] = [sealFor([bob]), sealFor([bob])].map((sealed) => readSealed(sealed))
    expect(once?.header).toEqual(again?.header)
    expect(once?.nonce).not.toEqual(again?.nonce)
    expect(once?.ciphertext).not.toEqual(again?.ciphertext)
    expect(once?.wraps[0]?.keyId).toEqual(again?.wraps[0]?.keyId)
    expect(once?.wraps[0]?.nonce).not.toEqual(again?.wraps[0]?.nonce)
    expect(once?.wraps[0]?.wrappedKey).not.toEqual(again?.wraps[0]?.wrappedKey)
    expect(once?.seal).not.toEqual(again?.seal)
  })

  test('no part of the plaintext is in the sealed bytes', () => {
    const sealed = sealFor([bob])
    for (let start = 0; start + 4 <= plaintext.length; start += 1) {
      expect(sealed.includes(plaintext.subarray(start, start + 4))).toBe(false)
    }
  })
})

describe('what it costs', () => {
  /** Everything of node:crypto that can multiply on a curve; the other cipher library has no curves. */
  const curveFunctions = [
    'diffieHellman',
    'createECDH',
    'createDiffieHellman',
    'generateKeyPair',
    'generateKeyPairSync',
    'createPrivateKey',
    'createPublicKey',
    'sign',
    'verify',
  ] as const

  afterEach(() => {
    vi.restoreAllMocks()
    syncBuiltinESMExports()
  })

  test('a 1 KiB message to a known peer costs no scalar multiplication, neither to seal nor to open', () => {
    const spies = curveFunctions.map((name) => vi.spyOn(crypto, name))
    syncBuiltinESMExports()
    const count = () => spies.reduce((sum, spy) => sum + spy.mock.calls.length, 0)
    const [sending, receiving] = [keysOf(alice), keysOf(bob)]
    const message = { header, plaintext: randomBytes(1024), recipients: [toRecipient(bob)], random: randomBytes }
    const openAtBob = (sealed: Buffer) => openWith(receiving, sealed).ok

    expect(openAtBob(seal({ ...message, keys: sending }))).toBe(true)
    const first = count()
    expect(first, 'the first one is what the others are compared with').toBeGreaterThan(0)
    for (let round = 0; round < 100; round += 1) expect(openAtBob(seal({ ...message, keys: sending }))).toBe(true)
    expect(count()).toBe(first)
  })
})

function sealFor(boxes: readonly BoxKeyPair[]): Buffer {
  return seal({ header, plaintext, recipients: boxes.map(toRecipient), keys: keysOf(alice), random: randomBytes })
}

function toRecipient(box: BoxKeyPair): Recipient {
  return { memberId: box.publicKey, boxKey: box.publicKey }
}

function keysOf(box: BoxKeyPair): PairwiseKeys {
  return new PairwiseKeys({ box, max: 64 })
}

function openAs(box: BoxKeyPair, sealed: Buffer, expected: SealHeader = header) {
  return openWith(keysOf(box), sealed, expected)
}

function openWith(keys: PairwiseKeys, sealed: Buffer, expected: SealHeader = header) {
  return open({ sealed, expected, senderBoxKey: () => alice.publicKey, keys: [keys] })
}

function wrapCountOf(sealed: Buffer): number | undefined {
  return readSealed(sealed)?.wraps.length
}
