import { Type } from 'typebox'
import { receiptAnswer } from '../receipt-text.ts'
import { tool } from '../tool.ts'

const waitMsDefault = 5_000

/** What `send_message` and `reply` have in common. */
export const sendOptions = {
  message: Type.String({ minLength: 1, description: 'the text; up to 64 KiB, larger things go with share_file' }),
  wait_until: Type.Optional(
    Type.Union([Type.Literal('accepted'), Type.Literal('delivered'), Type.Literal('read')], {
      description: 'for which proof to wait, at most wait_seconds; default accepted',
    }),
  ),
  wait_seconds: Type.Optional(Type.Integer({ minimum: 0, maximum: 30, description: 'default 5' })),
  idempotency_key: Type.Optional(
    Type.String({ minLength: 1, maxLength: 128, description: 'the same key and message again is the same send' }),
  ),
}

interface Waited {
  readonly wait_until?: 'accepted' | 'delivered' | 'read'
  readonly wait_seconds?: number
}

/** How long a send waits, and for what. */
export function waiting({ wait_until, wait_seconds }: Waited, signal: AbortSignal) {
  const waitMs = wait_seconds === undefined ? waitMsDefault : wait_seconds * 1_000
  return { waitMs, until: wait_until ?? 'accepted', signal } as const
}

export const sendMessage = tool({
  name: 'send_message',
  title: 'Send a message',
  description:
    'Sends a text to another member of the mesh, to a topic or to a work queue. The message is durable when this answers, and ' +
    'arrives once, also when its recipient is offline now. The answer says which state is proven: queued, accepted, delivered or read. ' +
    'Do not claim more than it says. Use reply to answer a message.',
  input: Type.Object(
    {
      to: Type.String({ minLength: 1, maxLength: 128, description: '@name, a member id, #topic or queue:<name>' }),
      ...sendOptions,
    },
    { additionalProperties: false },
  ),
  isReadOnly: false,
  isIdempotent: false,
  async run({ to, message, idempotency_key, ...wait }, { client }, signal) {
    const key = idempotency_key === undefined ? {} : { client_message_id: idempotency_key }
    return receiptAnswer(await client.send({ to, message, ...key }, waiting(wait, signal)))
  },
})
