/** The vectors of this package, which other languages check as well. They were computed by another implementation. */
import { readFileSync } from 'node:fs'
import { importBoxKeyPair } from '@claudemesh/identity'
import { canonicalJson, type JsonValue } from '@claudemesh/protocol'
import { describe, expect, test } from 'vitest'
import { decodeHeader, type SealHeader } from './header.ts'
import { agree, deriveKey } from './key-agreement.ts'
import { open } from './open.ts'
import { PairwiseKeys } from './pairwise-keys.ts'
import { openWithPassphrase, sealWithPassphrase } from './passphrase.ts'
import { seal } from './seal.ts'
import { deriveSeal, readSealed } from './sealed-bytes.ts'
import { bindingOf, unwrapKey, wrapKey } from './wrap.ts'
import { decrypt, deriveSubkey, encrypt } from './xchacha.ts'

interface WrapVector {
  readonly key_id: string
  readonly nonce: string
  readonly wrapped_key: string
}

const pairwise = read<{
  readonly members: Readonly<Record<string, { box_seed: string; box_key: string; key_id: string }>>
  readonly pairs: readonly { from: string; to: string; shared_secret: string; info: string; key: string }[]
}>('pairwise-keys.json')

const wrapVector = read<{
  readonly sender: string
  readonly recipient: string
  readonly content_key: string
  readonly binding: string
  readonly wrap: WrapVector
}>('wrap.json')

const { messages } = read<{
  readonly messages: readonly {
    readonly name: string
    readonly sender: string
    readonly recipients: readonly string[]
    readonly header: JsonValue
    readonly header_text: string
    readonly plaintext: string
    readonly random: readonly string[]
    readonly ciphertext: string
    readonly binding: string
    readonly wraps: readonly (WrapVector & { recipient: string })[]
    readonly digest: string
    readonly seal: string
    readonly sealed: string
  }[]
}>('seal.json')

const { files } = read<{
  readonly files: readonly {
    readonly name: string
    readonly passphrase: string
    readonly params: { memory_kib: number; passes: number; lanes: number }
    readonly random: readonly string[]
    readonly plaintext: string
    readonly sealed: string
  }[]
}>('passphrase.json')

const xchacha = read<{
  readonly hchacha20: { key: string; nonce: string; subkey: string }
  readonly xchacha20_poly1305: {
    key: string
    nonce: string
    associated_data: string
    plaintext: string
    ciphertext: string
    tag: string
  }
}>('xchacha.json')

describe('xchacha.json', () => {
  test('HChaCha20 derives the subkey of the draft', () => {
    const { key, nonce, subkey } = xchacha.hchacha20
    expect(Buffer.from(deriveSubkey(bytes(key), bytes(nonce))).toString('hex')).toBe(subkey)
  })

  test('XChaCha20-Poly1305 encrypts to the ciphertext of the draft, and back', () => {
    const vector = xchacha.xchacha20_poly1305
    const input = { key: bytes(vector.key), nonce: bytes(vector.nonce), associatedData: bytes(vector.associated_data) }
    const ciphertext = encrypt({ ...input, plaintext: bytes(vector.plaintext) })
    expect(ciphertext.toString('hex')).toBe(vector.ciphertext + vector.tag)
    expect(decrypt({ ...input, ciphertext })?.toString('hex')).toBe(vector.plaintext)
  })
})

describe('pairwise-keys.json', () => {
  for (const [name, vector] of Object.entries(pairwise.members)) {
    test(`the box key of ${name} has its key id`, () => {
      expect(boxOf(name).publicKey).toBe(vector.box_key)
      expect(keysOf(name).keyId.toString('hex')).toBe(vector.key_id)
    })
  }
  for (const vector of pairwise.pairs) {
    test(`${vector.from} and ${vector.to} have the same key for this direction`, () => {
      const [from, to] = [boxOf(vector.from), boxOf(vector.to)]
      expect(agree(from, to.publicKey)?.toString('hex')).toBe(vector.shared_secret)
      expect(agree(to, from.publicKey)?.toString('hex')).toBe(vector.shared_secret)
      expect(deriveKey(bytes(vector.shared_secret), bytes(vector.info)).toString('hex')).toBe(vector.key)
      expect(keysOf(vector.from).keyFor(to.publicKey)?.toPeer.toString('hex')).toBe(vector.key)
      expect(keysOf(vector.to).keyFor(from.publicKey)?.fromPeer.toString('hex')).toBe(vector.key)
    })
  }
})

test('wrap.json: the content key is wrapped to these bytes and unwrapped from them', () => {
  const { sender, recipient } = wrapVector
  const contentKey = bytes(wrapVector.content_key)
  const binding = bytes(wrapVector.binding)
  const wrap = {
    keyId: bytes(wrapVector.wrap.key_id),
    nonce: bytes(wrapVector.wrap.nonce),
    wrappedKey: bytes(wrapVector.wrap.wrapped_key),
  }
  const outgoing = present(keysOf(sender).keyFor(boxOf(recipient).publicKey))
  const incoming = present(keysOf(recipient).keyFor(boxOf(sender).publicKey))
  expect(wrapKey({ keyId: wrap.keyId, key: outgoing, nonce: wrap.nonce, binding, contentKey })).toEqual(wrap)
  expect(unwrapKey({ wrap, key: incoming, binding })).toEqual(contentKey)
})

describe('seal.json', () => {
  for (const vector of messages) {
    const header = present(decodeHeader(Buffer.from(vector.header_text)))

    test(`${vector.name}: is sealed to these bytes`, () => {
      expect(canonicalJson(vector.header)).toBe(vector.header_text)
      const sealed = seal({
        header,
        plaintext: bytes(vector.plaintext),
        recipients: vector.recipients.map((name) => ({ memberId: name, boxKey: boxOf(name).publicKey })),
        keys: keysOf(vector.sender),
        random: replay(vector.random),
      })
      expect(sealed.toString('hex')).toBe(vector.sealed)
    })

    test(`${vector.name}: has these parts`, () => {
      const parts = present(readSealed(bytes(vector.sealed)))
      expect(parts.header.toString()).toBe(vector.header_text)
      expect(parts.ciphertext.toString('hex')).toBe(vector.ciphertext)
      expect(bindingOf(parts).toString('hex')).toBe(vector.binding)
      expect(parts.digest.toString('hex')).toBe(vector.digest)
      expect(parts.seal.toString('hex')).toBe(vector.seal)
      expect(deriveSeal(bytes(present(vector.random[0])), parts.digest)).toEqual(parts.seal)
      expect(
        parts.wraps.map((wrap, index) => ({
          recipient: vector.recipients[index],
          key_id: wrap.keyId.toString('hex'),
          nonce: wrap.nonce.toString('hex'),
          wrapped_key: wrap.wrappedKey.toString('hex'),
        })),
      ).toEqual(vector.wraps)
    })

    for (const name of Object.keys(pairwise.members)) {
      const isRecipient = vector.recipients.includes(name)
      test(`${vector.name}: ${isRecipient ? 'opens' : 'does not open'} for ${name}`, () => {
        const opening = openAs(name, { sender: vector.sender, header, sealed: bytes(vector.sealed) })
        expect(opening).toEqual(
          isRecipient
            ? { ok: true, plaintext: bytes(vector.plaintext), header }
            : { ok: false, reason: 'not_a_recipient' },
        )
      })
    }
  }
})

describe('passphrase.json', () => {
  for (const vector of files) {
    test(`${vector.name}: is sealed to these bytes and opened from them`, async () => {
      const { memory_kib, passes, lanes } = vector.params
      const sealed = await sealWithPassphrase(bytes(vector.plaintext), vector.passphrase, {
        params: { memoryKib: memory_kib, passes, lanes },
        random: replay(vector.random),
      })
      expect(sealed.toString('hex')).toBe(vector.sealed)
      expect(await openWithPassphrase(sealed, vector.passphrase)).toEqual(bytes(vector.plaintext))
    })
  }

  test('the first file has the costs that are taken when none are named', async () => {
    const [vector] = files
    const sealed = await sealWithPassphrase(bytes(present(vector).plaintext), present(vector).passphrase, {
      random: replay(present(vector).random),
    })
    expect(sealed.toString('hex')).toBe(vector?.sealed)
  })
})

function openAs(name: string, message: { sender: string; header: SealHeader; sealed: Buffer }) {
  const { senderEpoch, recipientsEpoch, ...expected } = message.header
  const boxKeys = new Map([[`${expected.sender} ${senderEpoch}`, boxOf(message.sender).publicKey]])
  return open({
    sealed: message.sealed,
    expected,
    senderBoxKey: (memberId, epoch) => boxKeys.get(`${memberId} ${epoch}`) ?? null,
    keys: [keysOf(name)],
  })
}

function keysOf(name: string): PairwiseKeys {
  return new PairwiseKeys({ box: boxOf(name), max: 8 })
}

function boxOf(name: string) {
  return importBoxKeyPair(bytes(present(pairwise.members[name]).box_seed))
}

/** A source of randomness that gives these bytes, asked for in these portions. */
function replay(portions: readonly string[]): (length: number) => Buffer {
  const rest = [...portions]
  return (length) => {
    const portion = bytes(present(rest.shift()))
    expect(portion).toHaveLength(length)
    return portion
  }
}

function bytes(hex: string): Buffer {
  return Buffer.from(hex, 'hex')
}

function present<T>(value: T | null | undefined): T {
  if (value === undefined || value === null) throw new Error('the vectors name something that they do not contain')
  return value
}

function read<T>(name: string): T {
  return JSON.parse(readFileSync(new URL(`../vectors/${name}`, import.meta.url), 'utf8')) as T
}
