/**
 * For whom messages to each topic and work queue are sealed, as the broker last said. It is kept until something says that
 * it has changed, so that a message to a known destination asks nobody.
 */
import type { Destination } from '@claudemesh/protocol'
import { type Database, immediate } from '@claudemesh/storage'
import type { MemberStatements, RecipientSet } from './statements.ts'

export type { RecipientSet } from './statements.ts'

export class RecipientSets {
  readonly #db: Database
  readonly #statements: MemberStatements

  constructor(o: { readonly db: Database; readonly statements: MemberStatements }) {
    this.#db = o.db
    this.#statements = o.statements
  }

  /** Null when it is not known, or not any more. */
  find(destination: Destination): RecipientSet | null {
    return this.#statements.recipientSet(destination)
  }

  save(destination: Destination, recipients: RecipientSet): void {
    immediate(this.#db, () => this.#statements.saveRecipientSet(destination, recipients))
  }

  /** They have changed, or may have. */
  drop(destination: Destination): void {
    immediate(this.#db, () => this.#statements.dropRecipientSet(destination))
  }
}
