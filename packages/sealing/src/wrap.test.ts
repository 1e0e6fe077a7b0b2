import { randomBytes } from 'node:crypto'
import { generateBoxKeyPair } from '@claudemesh/identity'
import { describe, expect, test } from 'vitest'
import { PairwiseKeys } from './pairwise-keys.ts'
import { bindingOf, unwrapKey, wrapKey } from './wrap.ts'

const [alice, bob, carol] = [person(), person(), person()]
const message = { header: Buffer.from('{"v":1}'), ciphertext: Buffer.from('ciphertext') }
const contentKey = randomBytes(32)
const wrap = wrapKey({
  keyId: bob.keys.keyId,
  key: between(alice, bob),
  nonce: randomBytes(24),
  binding: bindingOf(message),
  contentKey,
})

describe('a content key is unwrapped', () => {
  test('by the recipient, for this message of this sender', () => {
    expect(unwrapKey({ wrap, key: between(bob, alice), binding: bindingOf(message) })).toEqual(contentKey)
  })

  const rows = [
    { name: 'for another ciphertext', key: between(bob, alice), binding: { ...message, ciphertext: Buffer.from('x') } },
    { name: 'for another header', key: between(bob, alice), binding: { ...message, header: Buffer.from('{"v":2}') } },
    { name: 'from another sender', key: between(bob, carol), binding: message },
    { name: 'by another recipient', key: between(carol, alice), binding: message },
    { name: 'by who wrapped it, as if the recipient had', key: between(alice, bob), binding: message },
  ]
  for (const row of rows) {
    test(`not ${row.name}`, () => {
      expect(unwrapKey({ wrap, key: row.key, binding: bindingOf(row.binding) })).toBe(null)
    })
  }
})

interface Person {
  readonly publicKey: string
  readonly keys: PairwiseKeys
}

function person(): Person {
  const box = generateBoxKeyPair()
  return { publicKey: box.publicKey, keys: new PairwiseKeys({ box, max: 8 }) }
}

function between(own: Person, peer: Person) {
  const key = own.keys.keyFor(peer.publicKey)
  if (key === null) throw new Error('a generated key shares a secret with every other')
  return key
}
