import { Type } from 'typebox'
import { receiptAnswer } from '../receipt-text.ts'
import { tool } from '../tool.ts'
import { sendOptions, waiting } from './send.ts'

export const reply = tool({
  name: 'reply',
  title: 'Answer a message',
  description:
    'Answers a message of the inbox: to its sender, or to the topic that it came by. The answer is kept in one thread with it, ' +
    'and the message that is answered is marked read. Says what is proven, as send_message does.',
  input: Type.Object(
    { message_id: Type.String({ minLength: 1, description: 'of the message that is answered' }), ...sendOptions },
    { additionalProperties: false },
  ),
  isReadOnly: false,
  isIdempotent: false,
  async run({ message_id, message, idempotency_key, ...wait }, { client }, signal) {
    const answered = await client.message(message_id)
    const to = answered.destination_kind === 'topic' ? `#${answered.destination_ref}` : answered.sender
    const key = idempotency_key === undefined ? {} : { client_message_id: idempotency_key }
    const receipt = await client.send({ to, message, replyToId: answered.id, ...key }, waiting(wait, signal))
    if (answered.direction === 'received') await client.mark({ ids: [answered.id], read: true })
    return receiptAnswer(receipt)
  },
})
