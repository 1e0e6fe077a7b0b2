/** The SQL of who signs with a key. */
import type { Database, Statement } from '@claudemesh/storage'

/** A member that is listed, to whom a verified chain has given the key at some epoch. */
export interface KeyHolder {
  readonly status: 'active' | 'revoked'
  /** When its current certificate ends; null: it does not. */
  readonly notAfter: number | null
}

export class SigningKeyStatements {
  readonly #holders: Statement

  constructor(db: Database) {
    this.#holders = db.prepare(`
      SELECT m.status, m.not_after AS notAfter FROM box_key k JOIN member m USING (member_id) WHERE k.signing_key = ?`)
  }

  holders(signingKey: string): KeyHolder[] {
    return this.#holders.all(signingKey) as KeyHolder[]
  }
}
