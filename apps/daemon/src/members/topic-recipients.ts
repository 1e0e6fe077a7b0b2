/**
 * For whom messages to each topic are sealed, as the broker last said. It is kept until something says that it has
 * changed, so that a message to a known topic asks nobody.
 */
import { type Database, immediate } from '@claudemesh/storage'
import type { MemberStatements, TopicRecipients } from './statements.ts'

export type { TopicRecipients } from './statements.ts'

export class RecipientSets {
  readonly #db: Database
  readonly #statements: MemberStatements

  constructor(o: { readonly db: Database; readonly statements: MemberStatements }) {
    this.#db = o.db
    this.#statements = o.statements
  }

  /** Null when it is not known, or not any more. */
  find(topic: string): TopicRecipients | null {
    return this.#statements.topicRecipients(topic)
  }

  save(topic: string, recipients: TopicRecipients): void {
    immediate(this.#db, () => this.#statements.saveTopicRecipients(topic, recipients))
  }

  /** The subscribers have changed, or may have. */
  drop(topic: string): void {
    immediate(this.#db, () => this.#statements.dropTopicRecipients(topic))
  }
}
