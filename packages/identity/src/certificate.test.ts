import { type Certificate, certificateSchema } from '@claudemesh/protocol'
import { Compile } from 'typebox/compile'
import { describe, expect, test } from 'vitest'
import { signInviteCertificate, signMemberCertificate, subjectKey, verifyCertificate } from './certificate.ts'
import { generateMemberKeys, generateSigningKeyPair } from './keys.ts'

const issuer = generateSigningKeyPair()
const keys = generateMemberKeys()
const inviteKey = generateSigningKeyPair().publicKey
const meshId = '01JD8Z6K3V0000000000000000'
const member = signMemberCertificate({
  meshId,
  memberId: keys.signing.publicKey,
  name: 'bob',
  role: 'member',
  keys,
  epoch: 0,
  notBefore: 1,
  notAfter: 2,
  issuer,
})
const invite = signInviteCertificate({
  meshId,
  inviteId: '01JD8Z6K3V0000000000000001',
  inviteKey,
  role: 'member',
  uses: 1,
  notBefore: 1,
  notAfter: 2,
  issuer,
})
const check = Compile(certificateSchema)

for (const certificate of [member, invite]) {
  describe(`a ${certificate.kind} certificate`, () => {
    test('has the form that travels, and verifies', () => {
      expect(check.Check(certificate)).toBe(true)
      expect(verifyCertificate(certificate)).toBe(true)
    })

    for (const [field, value] of Object.entries(certificate)) {
      if (field === 'kind') continue
      test(`does not verify with another ${field}`, () => {
        const changed = typeof value === 'number' ? value + 1 : otherText(value)
        expect(verifyCertificate({ ...certificate, [field]: changed })).toBe(false)
      })
    }

    test('does not verify under the key of another issuer', () => {
      expect(verifyCertificate({ ...certificate, issuer_key: generateSigningKeyPair().publicKey })).toBe(false)
    })

    test('does not verify with a member that was not signed', () => {
      const extended: Certificate & { readonly extra: number } = { ...certificate, extra: 1 }
      expect(verifyCertificate(extended)).toBe(false)
    })
  })
}

test('a member certificate without not_after has no such member', () => {
  const eternal = signMemberCertificate({
    meshId,
    memberId: keys.signing.publicKey,
    name: 'bob',
    role: 'member',
    keys,
    epoch: 0,
    notBefore: 1,
    notAfter: null,
    issuer,
  })
  expect(Object.hasOwn(eternal, 'not_after')).toBe(false)
  expect(verifyCertificate(eternal)).toBe(true)
})

test('a certificate speaks for the signing key of its member, or for the key of its invite', () => {
  expect(subjectKey(member)).toBe(keys.signing.publicKey)
  expect(subjectKey(invite)).toBe(inviteKey)
})

/** The text with its first character replaced by another of the same alphabet. */
function otherText(text: string): string {
  return (text.startsWith('a') ? 'b' : 'a') + text.slice(1)
}
