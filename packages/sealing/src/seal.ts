/**
 * Sealing (05 §4): the content under a key of its own, and that key wrapped for each recipient.
 *
 * 1. Content key and nonces are new with every call. Nothing of the plaintext depends on who reads it.
 * 2. A recipient whose key shares nothing secret gets no wrap: with one, everybody could read. It harms itself alone,
 *    and cannot keep the others from being sealed to.
 * 3. `random` is asked in this order: content key 32, content nonce 24, then a wrap nonce 24 per recipient in the order
 *    given. Vectors depend on it, readers do not.
 *
 * It does not decide who the recipients are, and does not hide how many there are, nor the length of the content.
 */
import assert from 'node:assert/strict'
import { limits, MeshError } from '@claudemesh/protocol'
import { encodeHeader, type SealHeader } from './header.ts'
import type { PairwiseKey, PairwiseKeys } from './pairwise-keys.ts'
import { writeSealed } from './sealed-bytes.ts'
import { bindingOf, wrapKey } from './wrap.ts'
import { encrypt, keyBytes, nonceBytes } from './xchacha.ts'

/** Somebody who shall be able to open. */
export interface Recipient {
  readonly memberId: string
  /** X25519 public key in lower-case hex, of a certificate that was verified. */
  readonly boxKey: string
}

/**
 * Seals one message.
 *
 * @param input.recipients at least one; the same box key counts once
 * @param input.keys of the sender's current box key, which `header.senderEpoch` has to name
 * @param input.random cryptographically secure
 * @throws MeshError `too_many_recipients`; `recipient_key_unusable` when nobody is left to seal to
 */
export function seal(input: {
  readonly header: SealHeader
  readonly plaintext: Uint8Array
  readonly recipients: readonly Recipient[]
  readonly keys: PairwiseKeys
  readonly random: (length: number) => Buffer
}): Buffer {
  const { plaintext, keys, random } = input
  const peers = listPeers(input.recipients, keys)
  const header = encodeHeader(input.header)
  const contentKey = random(keyBytes)
  const nonce = random(nonceBytes)
  const ciphertext = encrypt({ key: contentKey, nonce, associatedData: header, plaintext })
  const binding = bindingOf({ header, ciphertext })
  const wraps = peers.map((key) =>
    wrapKey({ keyId: key.peerKeyId, key, nonce: random(nonceBytes), binding, contentKey }),
  )
  return writeSealed({ header, nonce, wraps, ciphertext }, contentKey)
}

function listPeers(recipients: readonly Recipient[], keys: PairwiseKeys): readonly PairwiseKey[] {
  assert(recipients.length > 0, 'a message is sealed for somebody')
  const boxKeys = [...new Set(recipients.map((recipient) => recipient.boxKey))]
  if (boxKeys.length > limits.recipientsMax) {
    throw new MeshError('too_many_recipients', {
      detail: `the message has ${boxKeys.length} recipients, at most ${limits.recipientsMax} can be sealed to`,
      data: { recipients: boxKeys.length, recipients_max: limits.recipientsMax },
    })
  }
  const peers = boxKeys.flatMap((boxKey) => {
    const key = keys.keyFor(boxKey)
    return key === null ? [] : [key]
  })
  if (peers.length === 0) {
    throw new MeshError('recipient_key_unusable', {
      data: { recipients: recipients.map((recipient) => recipient.memberId) },
    })
  }
  return peers
}
