/** The SQL of who signs with a key. */
import type { Certificate } from '@claudemesh/protocol'
import type { Database, Statement } from '@claudemesh/storage'

/** A member that is listed, to whom a verified chain has given the key at some epoch. */
export interface KeyHolder {
  readonly status: 'active' | 'revoked'
  /** When its current certificate ends; null: it does not. */
  readonly notAfter: number | null
}

/** A member that is listed, and the chain that proved it. */
interface ActorRow {
  readonly status: 'active' | 'revoked'
  readonly chain: string
}

export class SigningKeyStatements {
  readonly #holders: Statement
  readonly #actor: Statement

  constructor(db: Database) {
    this.#holders = db.prepare(`
      SELECT m.status, m.not_after AS notAfter FROM box_key k JOIN member m USING (member_id) WHERE k.signing_key = ?`)
    this.#actor = db.prepare(`SELECT status, chain FROM member WHERE member_id = ?`)
  }

  holders(signingKey: string): KeyHolder[] {
    return this.#holders.all(signingKey) as KeyHolder[]
  }

  /** Null: it is not listed. */
  actor(memberId: string): { readonly status: ActorRow['status']; readonly chain: readonly Certificate[] } | null {
    const row = this.#actor.get(memberId) as ActorRow | undefined
    return row === undefined ? null : { ...row, chain: JSON.parse(row.chain) as readonly Certificate[] }
  }
}
