/**
 * The box keys of this member on this host: the current one, with which it seals and opens, and replaced ones, with which
 * it opens what comes late (05 §5).
 *
 * 1. Each key has beside it what it shares with peers, so that a known peer costs no scalar multiplication.
 * 2. A replaced key opens nothing any more when its grace is over, also while the daemon runs.
 *
 * It does not read or write keys, and it rotates none: it is told.
 */
import type { ArchivedKey, BoxKeyPair } from '@claudemesh/identity'
import { PairwiseKeys } from '@claudemesh/sealing'
import { pairwiseKeysMax } from './limits.ts'

/** What seals. */
export interface CurrentBoxKey {
  readonly epoch: number
  /** X25519 public key in hex. */
  readonly publicKey: string
  readonly keys: PairwiseKeys
}

/** The keys of a member as its files hold them. */
export interface HeldBoxKeys {
  readonly box: BoxKeyPair
  readonly epoch: number
  readonly archived: readonly ArchivedKey[]
}

interface OpeningKey {
  readonly keys: PairwiseKeys
  /** Milliseconds since the epoch; null for the current key, which has no end. */
  readonly expiresAt: number | null
}

export class OwnBoxKeys {
  readonly #now: () => number
  #current: CurrentBoxKey
  /** By public key, the current one first. */
  #opening: ReadonlyMap<string, OpeningKey> = new Map()

  /** @param now milliseconds since the epoch */
  constructor(held: HeldBoxKeys, now: () => number) {
    this.#now = now
    this.#current = this.#take(held)
  }

  get current(): CurrentBoxKey {
    return this.#current
  }

  /** Everything that may open a message at this moment, the current key first. */
  get opening(): readonly PairwiseKeys[] {
    const now = this.#now()
    return [...this.#opening.values()].flatMap(({ keys, expiresAt }) =>
      expiresAt === null || now < expiresAt ? [keys] : [],
    )
  }

  /** Goes on with what the files hold now. What is shared with peers by a key that stays is not computed again. */
  replace(held: HeldBoxKeys): void {
    this.#current = this.#take(held)
  }

  #take({ box, epoch, archived }: HeldBoxKeys): CurrentBoxKey {
    const keysOf = (pair: BoxKeyPair) =>
      this.#opening.get(pair.publicKey)?.keys ?? new PairwiseKeys({ box: pair, max: pairwiseKeysMax })
    const current: OpeningKey = { keys: keysOf(box), expiresAt: null }
    const opening = new Map([[box.publicKey, current]])
    for (const key of archived) {
      if (opening.has(key.box.publicKey)) continue
      opening.set(key.box.publicKey, { keys: keysOf(key.box), expiresAt: key.expiresAt })
    }
    this.#opening = opening
    return { epoch, publicKey: box.publicKey, keys: current.keys }
  }
}
