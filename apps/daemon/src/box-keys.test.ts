import { boxKeyId, generateBoxKeyPair } from '@claudemesh/identity'
import { expect, test } from 'vitest'
import { OwnBoxKeys } from './box-keys.ts'

const [first, second, third] = [generateBoxKeyPair(), generateBoxKeyPair(), generateBoxKeyPair()]

function archived(box: typeof first, expiresAt: number) {
  return { keyId: boxKeyId(box.publicKey), epoch: 0, box, retiredAt: 0, expiresAt }
}

function ownKeys() {
  let time = 0
  const keys = new OwnBoxKeys(
    { box: first, epoch: 2, archived: [archived(second, 10), archived(third, 20)] },
    () => time,
  )
  return { keys, waitUntil: (at: number) => (time = at) }
}

const idsOf = (keys: OwnBoxKeys) => keys.opening.map(({ keyId }) => keyId.toString('hex'))

test('the current key seals, and opens before the replaced ones', () => {
  const { keys } = ownKeys()
  expect(keys.current).toMatchObject({ epoch: 2, publicKey: first.publicKey })
  expect(idsOf(keys)).toEqual([first, second, third].map((box) => boxKeyId(box.publicKey)))
})

test('a replaced key opens nothing when its time is over', () => {
  const { keys, waitUntil } = ownKeys()
  waitUntil(10)
  expect(idsOf(keys)).toEqual([first, third].map((box) => boxKeyId(box.publicKey)))
  waitUntil(20)
  expect(idsOf(keys)).toEqual([boxKeyId(first.publicKey)])
})

test('after a rotation the new key seals, and what the old one shares with peers is not computed again', () => {
  const { keys } = ownKeys()
  const before = keys.current.keys
  const fresh = generateBoxKeyPair()
  keys.replace({ box: fresh, epoch: 3, archived: [archived(first, 30)] })
  expect(keys.current).toMatchObject({ epoch: 3, publicKey: fresh.publicKey })
  expect(keys.opening).toEqual([keys.current.keys, before])
  expect(keys.opening[1]).toBe(before)
})

test('a key that is archived and current at once is current', () => {
  const keys = new OwnBoxKeys({ box: first, epoch: 0, archived: [archived(first, 1)] }, () => 5)
  expect(idsOf(keys)).toEqual([boxKeyId(first.publicKey)])
})
