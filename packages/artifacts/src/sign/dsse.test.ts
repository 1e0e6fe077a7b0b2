import { createPublicKey, verify } from 'node:crypto'
import { generateSigningKeyPair, importSigningKeyPair, sign } from '@claudemesh/identity'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  type DsseEnvelope,
  type KeyStanding,
  manifestMediaType,
  preAuthEncoding,
  signManifest,
  verifyManifestEnvelope,
} from './dsse.ts'
import { decodeEnvelope, encodeEnvelope } from './envelope-json.ts'

const payload = Buffer.from('the bytes of a manifest')
const [alice, bob] = [generateSigningKeyPair(), generateSigningKeyPair()]

function envelopeOf(...pairs: readonly (typeof alice)[]): DsseEnvelope {
  return { payloadType: manifestMediaType, payload, signatures: pairs.map((pair) => signManifest(payload, pair)) }
}

async function verdicts(envelope: DsseEnvelope, standing: KeyStanding = 'trusted') {
  return (await verifyManifestEnvelope(envelope, () => standing)).map(({ verdict }) => verdict)
}

describe('the example of the DSSE specification', () => {
  const example = Buffer.from(`{"payload": "aGVsbG8gd29ybGQ=",
    "payloadType": "http://example.com/HelloWorld",
    "signatures": [{"sig": "A3JqsQGtVsJ2O2xqrI5IcnXip5GToJ3F+FnZ+O88SjtR6rDAajabZKciJTfUiHqJPcIAriEGAHTVeCUjW2JIZA=="}]}`)
  const { payloadType, payload, signatures } = decodeEnvelope(example)
  const bytes = preAuthEncoding(payloadType, payload)

  test('is encoded as it says', () => {
    expect(bytes.toString()).toBe('DSSEv1 29 http://example.com/HelloWorld 11 hello world')
  })

  test('verifies with its key, over P-256', () => {
    const coordinate = (decimal: string) =>
      Buffer.from(BigInt(decimal).toString(16).padStart(64, '0'), 'hex').toString('base64url')
    const key = createPublicKey({
      key: {
        kty: 'EC',
        crv: 'P-256',
        x: coordinate('46950820868899156662930047687818585632848591499744589407958293238635476079160'),
        y: coordinate('5640078356564379163099075877009565129882514886557779369047442380624545832820'),
      },
      format: 'jwk',
    })
    const [signature] = signatures
    expect(verify('sha256', bytes, { key, dsaEncoding: 'ieee-p1363' }, signature?.signature ?? payload)).toBe(true)
  })
})

describe('the encoding before signing', () => {
  test('counts bytes, not characters', () => {
    expect(preAuthEncoding('ü', Buffer.from('€')).toString()).toBe('DSSEv1 2 ü 3 €')
  })

  test('reads in one way only', () => {
    const pairs = fc.tuple(fc.string({ unit: fc.constantFrom('a', ' ', '1', 'D') }), fc.uint8Array({ maxLength: 8 }))
    fc.assert(
      fc.property(pairs, pairs, ([typeA, a], [typeB, b]) => {
        const isSame = typeA === typeB && Buffer.from(a).equals(b)
        expect(preAuthEncoding(typeA, a).equals(preAuthEncoding(typeB, b))).toBe(isSame)
      }),
    )
  })
})

describe('a signed manifest', () => {
  test('is signed by each of its signers, each with a verdict of its own', async () => {
    const envelope = envelopeOf(alice, bob)
    const standings: Record<string, KeyStanding> = { [alice.publicKey]: 'trusted', [bob.publicKey]: 'revoked' }
    expect(await verifyManifestEnvelope(envelope, async (keyId) => standings[keyId] ?? 'unknown')).toEqual([
      { keyId: alice.publicKey, verdict: 'valid' },
      { keyId: bob.publicKey, verdict: 'revoked' },
    ])
    expect(await verdicts(envelope, 'unknown')).toEqual(['unknown_key', 'unknown_key'])
  })

  test('is invalid with other bytes, another key or a changed signature, whatever is known of the key', async () => {
    const [signature] = envelopeOf(alice).signatures
    if (signature === undefined) throw new Error('an envelope is signed')
    const changed = Buffer.from(signature.signature)
    changed.writeUInt8(changed.readUInt8(0) ^ 1, 0)
    for (const envelope of [
      { ...envelopeOf(alice), payload: Buffer.from('other bytes') },
      { ...envelopeOf(alice), signatures: [{ ...signature, keyId: bob.publicKey }] },
      { ...envelopeOf(alice), signatures: [{ ...signature, signature: changed }] },
      { ...envelopeOf(alice), signatures: [{ ...signature, signature: signature.signature.subarray(1) }] },
    ]) {
      for (const standing of ['trusted', 'revoked', 'unknown'] as const) {
        expect(await verdicts(envelope, standing)).toEqual(['invalid'])
      }
    }
  })

  test('a key that no member can have is unknown, and nobody is asked about it', async () => {
    const [signature] = envelopeOf(alice).signatures
    if (signature === undefined) throw new Error('an envelope is signed')
    for (const keyId of ['', 'SHA256:abc', alice.publicKey.toUpperCase(), `${alice.publicKey}0`]) {
      const envelope = { ...envelopeOf(alice), signatures: [{ ...signature, keyId }] }
      const lookUp = () => {
        throw new Error('asked')
      }
      expect(await verifyManifestEnvelope(envelope, lookUp)).toEqual([{ keyId, verdict: 'unknown_key' }])
    }
  })

  test('that is signed as something else is none', async () => {
    const payloadType = 'application/vnd.in-toto+json'
    const signature = { keyId: alice.publicKey, signature: sign(alice, preAuthEncoding(payloadType, payload)) }
    const envelope = { payloadType, payload, signatures: [signature] }
    await expect(verdicts(envelope)).rejects.toMatchObject({ code: 'invalid_envelope' })
    expect(await verdicts({ ...envelope, payloadType: manifestMediaType })).toEqual(['invalid'])
  })
})

describe('an envelope as JSON', () => {
  test('is the same for ever', () => {
    const pair = importSigningKeyPair(Buffer.alloc(32, 7))
    expect(Buffer.from(encodeEnvelope(envelopeOf(pair))).toString()).toMatchInlineSnapshot(
      `"{"payload":"dGhlIGJ5dGVzIG9mIGEgbWFuaWZlc3Q=","payloadType":"application/vnd.claudemesh.manifest.v1+cbor","signatures":[{"keyid":"ea4a6c63e29c520abef5507b132ec5f9954776aebebe7b92421eea691446d22c","sig":"5g9jkwjeoCP3wmBDcrPbgyWZ2BD0d76s0ZVlvZ3BE/kbrJgR4Le0IigrEXZODcZ/k5Vz9edf79NUrjcBjtfNAg=="}]}"`,
    )
  })

  test('comes back as it was', () => {
    const envelope = envelopeOf(alice, bob)
    expect(decodeEnvelope(encodeEnvelope(envelope))).toEqual(envelope)
  })

  const json = (change: Record<string, unknown>) =>
    Buffer.from(
      JSON.stringify({ payload: 'aGk_', payloadType: 't', signatures: [{ keyid: 'k', sig: '-_-_' }], ...change }),
    )

  test('may be in either alphabet, without padding, and with members that are not known', () => {
    const envelope = decodeEnvelope(json({ more: 1, payload: 'aGk' }))
    expect(envelope.payload.toString()).toBe('hi')
    expect(envelope.signatures).toEqual([{ keyId: 'k', signature: Buffer.from('+/+/', 'base64') }])
    expect(decodeEnvelope(json({})).payload).toEqual(Buffer.from('aGk/', 'base64'))
  })

  test.each([
    ['no JSON', Buffer.from('{')],
    ['no UTF-8', Buffer.from('{"payload":"\xff"}', 'latin1')],
    ['no object', Buffer.from('[]')],
    ['no payload', json({ payload: undefined })],
    ['no type', json({ payloadType: '' })],
    ['no signatures', json({ signatures: [] })],
    ['too many signatures', json({ signatures: Array.from({ length: 1025 }, () => ({ sig: '' })) })],
    ['a signature that is a text', json({ signatures: ['aGk='] })],
    ['a payload with foreign characters', json({ payload: 'aG k=' })],
    ['a payload with spare bits', json({ payload: 'aGl=' })],
    ['a payload with too much padding', json({ payload: 'aGk==' })],
    ['a signature that is no base64', json({ signatures: [{ sig: '*' }] })],
  ])('is refused: %s', (_, bytes) => {
    expect(() => decodeEnvelope(bytes)).toThrow(expect.objectContaining({ code: 'invalid_envelope', status: 400 }))
  })
})
