/**
 * Whether a signature counts by whose key made it (06 §14).
 *
 * 1. A key counts through the chain that gave it to a member, at any epoch: what was signed before a rotation stays so.
 * 2. Who is revoked signed nothing that counts. A certificate that has ended, and a member that has gone, prove nothing.
 * 3. This host's own key counts by its own chain, also before any broker has listed it.
 */
import type { Certificate } from '@claudemesh/protocol'
import type { Database } from '@claudemesh/storage'
import { listKeys } from '../proof.ts'
import type { Revocations } from '../revocations.ts'
import { SigningKeyStatements } from './statements.ts'

export class SigningKeys {
  readonly #statements: SigningKeyStatements
  readonly #revocations: Revocations
  readonly #selfId: string
  readonly #now: () => number

  constructor(o: {
    readonly db: Database
    readonly revocations: Revocations
    readonly selfId: string
    readonly now: () => number
  }) {
    this.#statements = new SigningKeyStatements(o.db)
    this.#revocations = o.revocations
    this.#selfId = o.selfId
    this.#now = o.now
  }

  /**
   * @param signingKey Ed25519 public key in hex
   * @param ownChain the chain of this host, which was verified
   */
  standing(signingKey: string, ownChain: readonly Certificate[]): 'trusted' | 'revoked' | 'unknown' {
    const holders = this.#statements.holders(signingKey)
    if (listKeys(this.#selfId, ownChain).some((key) => key.signingKey === signingKey)) {
      const status = this.#revocations.isRevoked(ownChain) ? 'revoked' : 'active'
      holders.push({ status, notAfter: ownChain[0]?.not_after ?? null })
    }
    if (holders.some(({ status }) => status === 'revoked')) return 'revoked'
    const now = this.#now()
    return holders.some(({ notAfter }) => notAfter === null || now < notAfter) ? 'trusted' : 'unknown'
  }
  /**
   * The chain by which a member is judged that signed something, the current certificate first.
   *
   * @param ownChain the chain of this host, which was verified
   * @returns null when it was never proven here, or has gone
   */
  actorChain(
    memberId: string,
    ownChain: readonly Certificate[],
  ): { readonly chain: readonly Certificate[]; readonly isRevoked: boolean } | null {
    if (memberId === this.#selfId) return { chain: ownChain, isRevoked: this.#revocations.isRevoked(ownChain) }
    const actor = this.#statements.actor(memberId)
    return actor === null ? null : { chain: actor.chain, isRevoked: actor.status === 'revoked' }
  }
}
