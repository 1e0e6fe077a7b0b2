import { eventually } from './eventually.ts'
import type { TestMember } from './mesh.ts'

/** A send with a key of the caller's, which is what makes it safe to ask again. */
export interface KeyedSend {
  readonly to: string
  readonly message: string
  readonly client_message_id: string
}

/**
 * Asks until there is an answer of success, as a careful caller does: broken connections and conditions that pass are
 * met with the same request again, anything else is an error.
 *
 * @returns the id of the row
 */
export async function sendUntilAcknowledged(member: TestMember, body: KeyedSend): Promise<string> {
  return eventually(`${member.name} takes ${body.client_message_id}`, async () => {
    const answer = await member.send({ ...body }).catch(() => null)
    if (answer === null) return null
    const json = answer.json as { outbox_id?: string; retryable?: boolean }
    if (answer.status === 200 || answer.status === 202) return json.outbox_id ?? null
    if (json.retryable === true) return null
    throw new Error(`${body.client_message_id} was refused: ${answer.status} ${answer.text}`)
  })
}
