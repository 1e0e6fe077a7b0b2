/**
 * The keys that two members share without ever having spoken: X25519 of one's box secret and the other's box key,
 * through HKDF-SHA-256.
 *
 * 1. There is one key per direction: what A wraps for B cannot be shown to A as wrapped by B.
 * 2. Both public keys are in the derivation: a key belongs to exactly these two box keys.
 * 3. A public key that agrees on nothing secret (of low order, or none at all) has no pairwise key.
 * 4. A known peer costs no scalar multiplication. Those used last are kept, at most `max`.
 * 5. Keys are in private fields, which no printer and no serialiser shows.
 */
import assert from 'node:assert/strict'
import type { BoxKeyPair } from '@claudemesh/identity'
import { sha256 } from './digest.ts'
import { agree, deriveKey } from './key-agreement.ts'

/** The keys between this member and one peer, 32 bytes each. */
export interface PairwiseKey {
  /** Which wraps are for the peer. */
  readonly peerKeyId: Buffer
  /** Wraps what this member sends to the peer. */
  readonly toPeer: Buffer
  /** Unwraps what the peer sent to this member. */
  readonly fromPeer: Buffer
}

/** The pairwise keys of one box key pair, computed when first asked for. */
export class PairwiseKeys {
  /** Which wraps are for this box key. */
  readonly keyId: Buffer
  readonly #box: BoxKeyPair
  readonly #max: number
  /** Peer's box key to what is shared with it, least recently used first. */
  readonly #known = new Map<string, PairwiseKey | null>()

  /** @param options.max peers whose keys are kept, at least 1; about 250 bytes each */
  constructor(options: { readonly box: BoxKeyPair; readonly max: number }) {
    assert(options.box.secretKey.asymmetricKeyType === 'x25519', 'sealing takes the box key, not the signing key')
    assert(Number.isInteger(options.max) && options.max >= 1, 'at least one pairwise key is kept')
    this.#box = options.box
    this.#max = options.max
    this.keyId = keyIdOf(options.box.publicKey)
  }

  /**
   * @param peerBoxKey X25519 public key in lower-case hex
   * @returns null when nothing secret can be shared with that key
   */
  keyFor(peerBoxKey: string): PairwiseKey | null {
    const known = this.#known.get(peerBoxKey)
    const key = known === undefined ? this.#derive(peerBoxKey) : known
    this.#known.delete(peerBoxKey)
    this.#known.set(peerBoxKey, key)
    if (this.#known.size > this.#max) this.#forgetOldest()
    return key
  }

  #forgetOldest(): void {
    const [oldest] = this.#known.keys()
    if (oldest !== undefined) this.#known.delete(oldest)
  }

  #derive(peerBoxKey: string): PairwiseKey | null {
    const secret = agree(this.#box, peerBoxKey)
    if (secret === null) return null
    const own = Buffer.from(this.#box.publicKey, 'hex')
    const peer = Buffer.from(peerBoxKey, 'hex')
    return {
      peerKeyId: keyIdOf(peerBoxKey),
      toPeer: deriveKey(secret, wrapLabel, own, peer),
      fromPeer: deriveKey(secret, wrapLabel, peer, own),
    }
  }
}

const wrapLabel = Buffer.from('claudemesh/seal/v1', 'latin1')

/** Which recipient a wrap is for: public, and short, since every message carries one per recipient. */
export const keyIdBytes = 16

function keyIdOf(boxKey: string): Buffer {
  return sha256(Buffer.from(boxKey, 'hex')).subarray(0, keyIdBytes)
}
