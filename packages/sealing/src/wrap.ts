/**
 * The wrap of one recipient: the content key under the pairwise key of sender and recipient.
 *
 * 1. Only that sender and that recipient can make it, so it tells the recipient who sealed.
 * 2. Its associated data is SHA-256(header || ciphertext): a wrap opens one message, and another recipient, who has
 *    the content key, cannot put a different body or header under it. Where the header ends is no question, since no
 *    header begins with another one.
 */
import { sha256 } from './digest.ts'
import type { PairwiseKey } from './pairwise-keys.ts'
import type { SealedParts, Wrap } from './sealed-bytes.ts'
import { decrypt, encrypt } from './xchacha.ts'

/** What a wrap belongs to. */
export function bindingOf(parts: Pick<SealedParts, 'header' | 'ciphertext'>): Buffer {
  return sha256(Buffer.concat([parts.header, parts.ciphertext]))
}

export function wrapKey(input: {
  readonly keyId: Buffer
  readonly key: PairwiseKey
  readonly nonce: Buffer
  readonly binding: Buffer
  readonly contentKey: Buffer
}): Wrap {
  const { keyId, key, nonce, binding, contentKey } = input
  const wrappedKey = encrypt({ key: key.toPeer, nonce, associatedData: binding, plaintext: contentKey })
  return { keyId, nonce, wrappedKey }
}

/** @returns the content key; null when the sender did not wrap it for this recipient and this message */
export function unwrapKey(input: {
  readonly wrap: Wrap
  readonly key: PairwiseKey
  readonly binding: Buffer
}): Buffer | null {
  const { wrap, key, binding } = input
  return decrypt({ key: key.fromPeer, nonce: wrap.nonce, associatedData: binding, ciphertext: wrap.wrappedKey })
}
