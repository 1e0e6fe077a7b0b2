/**
 * Whom the mesh no longer trusts (05 §1): the newest revocation list that was verified here.
 *
 * 1. Who is revoked by it is revoked here, whatever the broker says of the member.
 * 2. A list that is older than the known one, or takes anything of it back, changes nothing. So a broker that shows an
 *    old list again brings nobody back. That it keeps the newest one to itself cannot be told from here.
 */
import { findRevocation, type RevocationFault, verifyRevocationList } from '@claudemesh/identity'
import type { Certificate, RevocationList } from '@claudemesh/protocol'
import { type Database, immediate } from '@claudemesh/storage'
import type { MemberStatements } from './statements.ts'

/** A list with the chain of the admin who signed it; the chain is empty when the root key did. */
export interface SignedRevocations {
  readonly list: RevocationList
  readonly chain: readonly Certificate[]
}

export type RevocationOutcome =
  /** With the members that are revoked by it and were not before. */
  | { readonly kind: 'applied'; readonly revoked: readonly string[] }
  /** It is the list that is here already. */
  | { readonly kind: 'known' }
  | { readonly kind: 'ignored'; readonly reason: RevocationFault }

export class Revocations {
  readonly #db: Database
  readonly #statements: MemberStatements
  readonly #mesh: { readonly mesh_id: string; readonly root_key: string }
  readonly #now: () => number
  readonly #ignored = new Map<RevocationFault, number>()
  #newest: SignedRevocations | null

  constructor(o: {
    readonly db: Database
    readonly statements: MemberStatements
    readonly mesh: { readonly meshId: string; readonly rootKey: string }
    readonly now: () => number
  }) {
    this.#db = o.db
    this.#statements = o.statements
    this.#mesh = { mesh_id: o.mesh.meshId, root_key: o.mesh.rootKey }
    this.#now = o.now
    this.#newest = o.statements.fact('revocations') as SignedRevocations | null
  }

  /** Null while nobody was ever revoked, as far as this host knows. */
  get newest(): SignedRevocations | null {
    return this.#newest
  }

  /** Lists that were not believed since the start, by reason. */
  get ignored(): ReadonlyMap<RevocationFault, number> {
    return this.#ignored
  }

  /** @param chain a chain that was verified */
  isRevoked(chain: readonly Certificate[]): boolean {
    return this.#newest !== null && findRevocation({ list: this.#newest.list, chain }) !== null
  }

  /** Takes a list over when it is proven and newer than the known one, and judges everybody by it. */
  apply(signed: SignedRevocations): RevocationOutcome {
    const previous = this.#newest?.list ?? null
    const { list, chain: issuerChain } = signed
    if (previous?.number === list.number && previous.signature === list.signature) return { kind: 'known' }
    const verdict = verifyRevocationList({ mesh: this.#mesh, list, issuerChain, previous, now: this.#now() })
    if (!verdict.ok) {
      this.#ignored.set(verdict.reason, (this.#ignored.get(verdict.reason) ?? 0) + 1)
      return { kind: 'ignored', reason: verdict.reason }
    }
    return immediate(this.#db, (tx) => {
      this.#statements.saveFact('revocations', signed)
      tx.afterCommit(() => {
        this.#newest = signed
      })
      const judged: string[] = []
      for (const { memberId, chain } of this.#statements.chains()) {
        if (findRevocation({ list, chain }) !== null) judged.push(memberId)
      }
      return { kind: 'applied', revoked: judged.filter((memberId) => this.#statements.revokeMember(memberId)) }
    })
  }
}
