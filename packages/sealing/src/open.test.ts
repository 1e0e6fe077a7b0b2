import { randomBytes } from 'node:crypto'
import { type BoxKeyPair, generateBoxKeyPair } from '@claudemesh/identity'
import { limits } from '@claudemesh/protocol'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type ExpectedHeader, encodeHeader, type SealHeader } from './header.ts'
import { type Opening, type OpeningFault, open } from './open.ts'
import { PairwiseKeys } from './pairwise-keys.ts'
import { seal } from './seal.ts'
import { type ReadParts, readSealed, type Wrap, writeSealed } from './sealed-bytes.ts'
import { bindingOf, unwrapKey, wrapKey } from './wrap.ts'
import { decrypt, encrypt } from './xchacha.ts'

/** Alice sends to Bob and Carol; Mallory is a member as well, and may be the broker. */
const [alice, bob, carol, mallory] = [person(), person(), person(), person()]
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
const plaintext = Buffer.from('tests are green')
const sealed = sealFor([bob, carol])

describe('bytes that the sender did not seal do not open', () => {
  test('any single bit changed, at any recipient', () => {
    const seen = new Set<OpeningFault | 'opened'>()
    for (const recipient of [bob, carol]) {
      for (let bit = 0; bit < 8 * sealed.length; bit += 1) {
        const opening = openAs(recipient, flip(sealed, bit))
        if (opening.ok) expect.fail(`it opens with bit ${bit} changed`)
        seen.add(opening.reason)
      }
    }
    expect([...seen].sort()).toEqual([
      'header_mismatch',
      'malformed',
      'not_a_recipient',
      'not_authentic',
      'sender_unknown',
    ])
  })

  test('any single bit changed, in messages of any kind', () => {
    const headers = fc.record({
      meshId: fc.constant(header.meshId),
      sender: fc.constant(header.sender),
      senderEpoch: fc.nat(),
      clientMessageId: fc.string({ minLength: 1, maxLength: 255 }),
      destination: fc.record({ kind: fc.constantFrom('dm', 'topic', 'queue'), ref: fc.string() }),
      replyTo: fc.option(fc.string()),
      priority: fc.constantFrom('now', 'next', 'low'),
      recipientsEpoch: fc.option(fc.nat()),
    }) satisfies fc.Arbitrary<SealHeader>
    fc.assert(
      fc.property(headers, fc.uint8Array({ maxLength: 2000 }), fc.nat(), (any, content, position) => {
        const bytes = seal({
          header: any,
          plaintext: content,
          recipients: [bob, carol].map(toRecipient),
          keys: alice.keys,
          random: randomBytes,
        })
        const input = { expected: any, senderBoxKey: () => alice.box.publicKey, keys: [bob.keys] }
        expect(open({ ...input, sealed: bytes })).toEqual({ ok: true, plaintext: Buffer.from(content), header: any })
        expect(open({ ...input, sealed: flip(bytes, position % (8 * bytes.length)) }).ok).toBe(false)
      }),
    )
  })

  test('a byte less, a byte more or a byte twice, anywhere', () => {
    for (let position = 0; position <= sealed.length; position += 1) {
      const [before, after] = [sealed.subarray(0, position), sealed.subarray(position)]
      const rows = [
        { name: 'cut off before', bytes: after, same: position === 0 },
        { name: 'cut off after', bytes: before, same: position === sealed.length },
        { name: 'one missing', bytes: Buffer.concat([before, after.subarray(1)]), same: position === sealed.length },
        { name: 'a zero more', bytes: Buffer.concat([before, Buffer.of(0), after]), same: false },
        { name: 'one twice', bytes: Buffer.concat([before, after.subarray(0, 1), after]), same: after.length === 0 },
      ]
      for (const row of rows) expect(openAs(bob, row.bytes).ok, `${row.name} at ${position}`).toBe(row.same)
    }
  })

  test('parts of two messages put together', () => {
    const other = present(readSealed(sealFor([bob, carol])))
    const parts = partsOf(sealed)
    const contentKey = contentKeyOf(bob, parts)
    for (const name of ['nonce', 'wraps', 'ciphertext'] as const) {
      // With the seal made anew, as one who can open could: the seal is not what holds a message together for others.
      const mixed = writeSealed({ ...parts, [name]: other[name] }, contentKey)
      expect(openAs(carol, mixed), name).toEqual({ ok: false, reason: 'not_authentic' })
    }
  })
})

describe('another recipient, who has the content key, cannot change anything for others', () => {
  const parts = partsOf(sealed)
  const contentKey = contentKeyOf(bob, parts)
  const forgedHeader = encodeHeader({ ...header, clientMessageId: 'deploy-43' })
  const forgeContent = (bytes: Buffer, associatedData = parts.header) =>
    encrypt({ key: contentKey, nonce: parts.nonce, associatedData, plaintext: bytes })
  const wrapAs = (from: Person, changed: Pick<ReadParts, 'header' | 'ciphertext'>): Wrap[] => [
    wrapKey({
      keyId: carol.keys.keyId,
      key: present(from.keys.keyFor(carol.box.publicKey)),
      nonce: randomBytes(24),
      binding: bindingOf(changed),
      contentKey,
    }),
  ]

  test('it does have the content key, so that these are real attempts', () => {
    const content = decrypt({ ...parts, key: contentKey, associatedData: parts.header })
    expect(content).toEqual(plaintext)
    expect(openAs(carol, writeSealed(parts, contentKey))).toEqual({ ok: true, plaintext, header })
  })

  test('not the body under the wrap of the sender', () => {
    const forged = { ...parts, ciphertext: forgeContent(Buffer.from('tests are RED!!')) }
    expect(openAs(carol, writeSealed(forged, contentKey))).toEqual({ ok: false, reason: 'not_authentic' })
  })

  test('not the header under the wrap of the sender', () => {
    const forged = { ...parts, header: forgedHeader, ciphertext: forgeContent(plaintext, forgedHeader) }
    const expected = { ...header, clientMessageId: 'deploy-43' }
    expect(openAs(carol, writeSealed(forged, contentKey), { expected })).toEqual({ ok: false, reason: 'not_authentic' })
  })

  test('not the body under a wrap of its own, in the name of the sender', () => {
    const forged = { ...parts, ciphertext: forgeContent(Buffer.from('tests are RED!!')) }
    const bytes = writeSealed({ ...forged, wraps: wrapAs(bob, forged) }, contentKey)
    expect(openAs(carol, bytes)).toEqual({ ok: false, reason: 'not_authentic' })
  })

  test('not by showing the sender its own message as somebody else’s', () => {
    // A dm of Alice to Bob, shown to Alice as one of Bob to her: the pairwise secret is the same, the direction is not.
    const expected = { ...header, sender: 'b0'.repeat(32) }
    const reflected = encodeHeader(expected)
    const ciphertext = forgeContent(plaintext, reflected)
    const wrap = wrapKey({
      keyId: alice.keys.keyId,
      key: present(alice.keys.keyFor(bob.box.publicKey)),
      nonce: randomBytes(24),
      binding: bindingOf({ header: reflected, ciphertext }),
      contentKey,
    })
    const bytes = writeSealed({ header: reflected, nonce: parts.nonce, wraps: [wrap], ciphertext }, contentKey)
    const input = { expected, senderBoxKey: () => bob.box.publicKey, keys: [alice.keys] }
    expect(open({ ...input, sealed: bytes })).toEqual({ ok: false, reason: 'not_authentic' })
  })

  test('and with the secret of the sender it could, so that it is the wrap that keeps it from it', () => {
    const forged = { ...parts, ciphertext: forgeContent(Buffer.from('tests are RED!!')) }
    const bytes = writeSealed({ ...forged, wraps: wrapAs(alice, forged) }, contentKey)
    expect(openAs(carol, bytes)).toMatchObject({ ok: true, plaintext: Buffer.from('tests are RED!!') })
  })
})

describe('a delivery that claims something else than the sender wrote is refused', () => {
  const rows: { name: string; expected: ExpectedHeader }[] = [
    { name: 'another mesh', expected: { ...header, meshId: '01JZ9Y4M5Q7R8S9T0V1W2X3Y50' } },
    { name: 'another sender', expected: { ...header, sender: 'b0'.repeat(32) } },
    { name: 'another id', expected: { ...header, clientMessageId: 'deploy-43' } },
    { name: 'another kind of destination', expected: { ...header, destination: { kind: 'queue', ref: 'alerts' } } },
    { name: 'another destination', expected: { ...header, destination: { kind: 'topic', ref: 'alert' } } },
    { name: 'a reply', expected: { ...header, replyTo: '01JZ9Y4M5Q7R8S9T0V1W2X3Y50' } },
    { name: 'another priority', expected: { ...header, priority: 'now' } },
  ]
  for (const { name, expected } of rows) {
    test(name, () => {
      expect(openAs(bob, sealed, { expected })).toEqual({ ok: false, reason: 'header_mismatch' })
    })
  }

  test('any field, altered in any way', () => {
    const anything: fc.Arbitrary<Partial<ExpectedHeader>> = fc.record(
      {
        meshId: fc.string(),
        sender: fc.string(),
        clientMessageId: fc.string(),
        destination: fc.record({ kind: fc.constantFrom('dm', 'topic', 'queue'), ref: fc.string() }),
        replyTo: fc.string(),
        priority: fc.constantFrom('now', 'low'),
      },
      { requiredKeys: [] },
    )
    fc.assert(
      fc.property(
        anything.filter((change) => Object.keys(change).length > 0),
        (change) => {
          const opening = openAs(bob, sealed, { expected: { ...header, ...change } })
          expect(opening).toEqual({ ok: false, reason: 'header_mismatch' })
        },
      ),
    )
  })
})

describe('which keys open', () => {
  test('those of an earlier epoch of the recipient as well', () => {
    const current = person()
    expect(openWith([current.keys, bob.keys], sealed).ok).toBe(true)
    expect(openWith([current.keys], sealed)).toEqual({ ok: false, reason: 'not_a_recipient' })
    expect(openWith([], sealed)).toEqual({ ok: false, reason: 'not_a_recipient' })
  })

  test('that of the sender at the epoch it sealed in', () => {
    const asked: [string, number][] = []
    const senderBoxKey = (memberId: string, epoch: number) => {
      asked.push([memberId, epoch])
      return alice.box.publicKey
    }
    expect(openAs(bob, sealed, { senderBoxKey }).ok).toBe(true)
    expect(asked).toEqual([[header.sender, header.senderEpoch]])
  })

  const rows: { name: string; key: string | null; reason: OpeningFault }[] = [
    { name: 'no key of the sender', key: null, reason: 'sender_unknown' },
    { name: 'the key of somebody else', key: mallory.box.publicKey, reason: 'not_authentic' },
    { name: 'a key that shares nothing secret', key: '00'.repeat(32), reason: 'not_authentic' },
    { name: 'a key that is none', key: 'key', reason: 'not_authentic' },
  ]
  for (const row of rows) {
    test(`${row.name} opens nothing: ${row.reason}`, () => {
      expect(openAs(bob, sealed, { senderBoxKey: () => row.key })).toEqual({ ok: false, reason: row.reason })
    })
  }

  test('a sender with the right key at another epoch is not the sender of these bytes', () => {
    const rotated = person()
    const senderBoxKey = (_: string, epoch: number) => (epoch === 3 ? rotated : alice).box.publicKey
    expect(openAs(bob, sealed, { senderBoxKey })).toEqual({ ok: false, reason: 'not_authentic' })
  })
})

describe('several wraps with the key id of one recipient', () => {
  const parts = partsOf(sealed)
  const contentKey = contentKeyOf(bob, parts)
  const [own] = parts.wraps.filter((wrap) => wrap.keyId.equals(bob.keys.keyId))
  const foreign = { keyId: bob.keys.keyId, nonce: randomBytes(24), wrappedKey: randomBytes(48) }
  const rows = [
    { name: 'the own one first', wraps: [present(own), foreign, foreign] },
    { name: 'the own one last', wraps: [foreign, foreign, present(own)] },
    { name: 'the own one twice', wraps: [present(own), present(own)] },
  ]
  for (const row of rows) {
    test(`are all tried: ${row.name}`, () => {
      expect(openAs(bob, writeSealed({ ...parts, wraps: row.wraps }, contentKey)).ok).toBe(true)
    })
  }

  test('are not tried beyond a few: nobody keeps a recipient busy with hundreds', () => {
    const wraps = [...Array.from({ length: limits.recipientsMax - 1 }, () => foreign), present(own)]
    expect(openAs(bob, writeSealed({ ...parts, wraps }, contentKey))).toEqual({ ok: false, reason: 'not_authentic' })
  })

  test('open nothing when none of them is for it', () => {
    const bytes = writeSealed({ ...parts, wraps: [foreign, foreign] }, contentKey)
    expect(openAs(bob, bytes)).toEqual({ ok: false, reason: 'not_authentic' })
  })

  test('a wrap under the key id of somebody else is not tried', () => {
    const mislabelled = { ...present(own), keyId: carol.keys.keyId }
    const bytes = writeSealed({ ...parts, wraps: [mislabelled] }, contentKey)
    expect(openAs(bob, bytes)).toEqual({ ok: false, reason: 'not_a_recipient' })
    expect(openAs(carol, bytes)).toEqual({ ok: false, reason: 'not_authentic' })
  })
})

describe('what is malformed never throws', () => {
  test('any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2000 }), (bytes) => {
        expect(openAs(bob, Buffer.from(bytes))).toEqual({ ok: false, reason: 'malformed' })
      }),
    )
  })

  test('any bytes in the place of any part', () => {
    fc.assert(
      fc.property(fc.nat(sealed.length), fc.uint8Array({ maxLength: 300 }), (position, bytes) => {
        const damaged = Buffer.concat([
          sealed.subarray(0, position),
          bytes,
          sealed.subarray(Math.min(sealed.length, position + bytes.length)),
        ])
        expect(openAs(bob, damaged).ok).toBe(damaged.equals(sealed))
      }),
    )
  })

  const headerLengthAt = 1
  const countAt = 5 + partsOf(sealed).header.length + 24
  const rows = [
    { name: 'no header', change: (bytes: Buffer) => bytes.writeUInt32BE(0, headerLengthAt) },
    { name: 'a header beyond the end', change: (bytes: Buffer) => bytes.writeUInt32BE(0xffffffff, headerLengthAt) },
    {
      name: 'a header that ends one later',
      change: (bytes: Buffer) => bytes.writeUInt32BE(countAt - 28, headerLengthAt),
    },
    { name: 'wraps beyond the end', change: (bytes: Buffer) => bytes.writeUInt16BE(0xffff, countAt) },
    { name: 'a wrap more than there are', change: (bytes: Buffer) => bytes.writeUInt16BE(3, countAt) },
    { name: 'another version', change: (bytes: Buffer) => bytes.writeUInt8(2) },
  ]
  for (const row of rows) {
    test(row.name, () => {
      const bytes = Buffer.from(sealed)
      row.change(bytes)
      expect(openAs(bob, bytes)).toEqual({ ok: false, reason: 'malformed' })
    })
  }

  test('more wraps than a message may have', () => {
    const parts = partsOf(sealed)
    const wraps = Array.from({ length: 513 }, () => present(parts.wraps[0]))
    expect(openAs(bob, writeSealed({ ...parts, wraps }, contentKeyOf(bob, parts)))).toEqual({
      ok: false,
      reason: 'malformed',
    })
  })

  test('a message for nobody is for nobody', () => {
    const parts = partsOf(sealed)
    expect(openAs(bob, writeSealed({ ...parts, wraps: [] }, contentKeyOf(bob, parts)))).toEqual({
      ok: false,
      reason: 'not_a_recipient',
    })
  })

  test('bytes in the middle of other bytes are read from where they begin', () => {
    const around = Buffer.concat([randomBytes(3), sealed, randomBytes(5)])
    const inside = new Uint8Array(around.buffer, around.byteOffset + 3, sealed.length)
    expect(open({ ...inputFor(bob), sealed: inside })).toEqual({ ok: true, plaintext, header })
  })
})

interface Person {
  readonly box: BoxKeyPair
  readonly keys: PairwiseKeys
}

function person(): Person {
  const box = generateBoxKeyPair()
  return { box, keys: new PairwiseKeys({ box, max: 64 }) }
}

function toRecipient({ box }: Person): { memberId: string; boxKey: string } {
  return { memberId: box.publicKey, boxKey: box.publicKey }
}

function sealFor(recipients: readonly Person[]): Buffer {
  return seal({ header, plaintext, recipients: recipients.map(toRecipient), keys: alice.keys, random: randomBytes })
}

interface Circumstances {
  readonly expected?: ExpectedHeader
  readonly senderBoxKey?: (memberId: string, epoch: number) => string | null
}

function inputFor(recipient: Person) {
  const senderBoxKey = (memberId: string, epoch: number) =>
    memberId === header.sender && epoch === header.senderEpoch ? alice.box.publicKey : null
  return { expected: header, senderBoxKey, keys: [recipient.keys] }
}

function openAs(recipient: Person, bytes: Buffer, circumstances: Circumstances = {}): Opening {
  return open({ ...inputFor(recipient), ...circumstances, sealed: bytes })
}

function openWith(keys: readonly PairwiseKeys[], bytes: Buffer): Opening {
  return open({ ...inputFor(bob), keys, sealed: bytes })
}

/** What a recipient gets hold of when it opens a message of Alice's. */
function contentKeyOf(recipient: Person, parts: ReadParts): Buffer {
  const wrap = present(parts.wraps.find(({ keyId }) => keyId.equals(recipient.keys.keyId)))
  const key = present(recipient.keys.keyFor(alice.box.publicKey))
  return present(unwrapKey({ wrap, key, binding: bindingOf(parts) }))
}

function partsOf(bytes: Buffer): ReadParts {
  return present(readSealed(bytes))
}

function flip(bytes: Buffer, bit: number): Buffer {
  const damaged = Buffer.from(bytes)
  damaged.writeUInt8(damaged.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3)
  return damaged
}

function present<T>(value: T | null | undefined): T {
  if (value === null || value === undefined) throw new Error('the test begins with something that is not there')
  return value
}
