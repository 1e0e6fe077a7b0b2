import { describe, expect, test } from 'vitest'
import { generateSigningKeyPair } from './keys.ts'
import { signMeshRecord, verifyMeshRecord } from './mesh-record.ts'
import { signDocument, verifyDocument } from './signed-document.ts'

const keys = generateSigningKeyPair()
const { publicKey } = keys
const document = { b: 1, a: 'text' }
const domain = 'claudemesh-mesh-v1'
const signature = signDocument(domain, document, keys)

describe('a signed document', () => {
  test('verifies whatever the order of its members', () => {
    expect(verifyDocument({ domain, document: { a: 'text', b: 1 }, publicKey, signature })).toBe(true)
  })

  const refused = [
    { name: 'in another domain', change: { domain: 'claudemesh-certificate-v1' as const } },
    { name: 'with another content', change: { document: { a: 'text', b: 2 } } },
    { name: 'under another key', change: { publicKey: generateSigningKeyPair().publicKey } },
    { name: 'with padding after the signature', change: { signature: `${signature}==` } },
    { name: 'with the signature in plain base64', change: { signature: `${signature.slice(0, -1)}+` } },
    { name: 'with spare bits in the last character', change: { signature: withSpareBits(signature) } },
    { name: 'with a signature that is too short', change: { signature: signature.slice(0, -4) } },
    { name: 'without a signature', change: { signature: '' } },
  ]
  for (const row of refused) {
    test(`does not verify ${row.name}`, () => {
      expect(verifyDocument({ domain, document, publicKey, signature, ...row.change })).toBe(false)
    })
  }
})

describe('a mesh record', () => {
  const record = signMeshRecord({ meshId: '01JD8Z6K3V0000000000000000', slug: 'home', createdAt: 1, root: keys })

  test('verifies under its own root key', () => {
    expect(verifyMeshRecord(record)).toBe(true)
  })

  for (const change of [
    { mesh_id: '01JD8Z6K3V0000000000000001' },
    { slug: 'work' },
    { created_at: 2 },
    { root_key: generateSigningKeyPair().publicKey },
  ]) {
    test(`does not verify with another ${Object.keys(change).join()}`, () => {
      expect(verifyMeshRecord({ ...record, ...change })).toBe(false)
    })
  }
})

/** Another text that a lenient decoder reads as the same 64 bytes: the last character carries two bits of them. */
function withSpareBits(text: string): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  const last = alphabet.charAt(alphabet.indexOf(text.charAt(text.length - 1)) + 1)
  const other = text.slice(0, -1) + last
  expect(Buffer.from(other, 'base64url')).toEqual(Buffer.from(text, 'base64url'))
  return other
}
