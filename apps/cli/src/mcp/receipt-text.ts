import type { SendResponse, SendState } from '@claudemesh/protocol'
import type { ToolAnswer } from './tool.ts'

/** One sentence per state: what is proven, and no more (02 §10). */
const proven: Readonly<Record<SendState, string>> = {
  queued: 'It is kept on this host and will be sent by itself; nobody else has it yet.',
  accepted: 'The broker keeps it; it is not known yet whether its recipient has it.',
  delivered: "It is in its recipients' inboxes; it is not known whether anybody has read it.",
  read: 'Its recipients have marked it read.',
  undeliverable: 'At least one recipient will not get it.',
  dead: 'It was not sent and will not be by itself.',
  aborted: 'It was given up by an operator.',
}

/** What is proven of a send. */
export function receiptAnswer(answer: SendResponse): ToolAnswer {
  const { state, client_message_id, broker_message_id, recipient_count, last_error, receipts = [] } = answer
  const failed = receipts.filter((receipt) => receipt.state === 'undeliverable')
  return {
    text: [
      `${state}: ${proven[state]}`,
      ...(last_error === undefined ? [] : [`Last error: ${last_error}`]),
      ...failed.map(({ recipient, reason }) => `Not to ${recipient}: ${reason ?? 'no reason given'}`),
      ...(broker_message_id === undefined ? [] : [`Its id: ${broker_message_id}`]),
      `To send the very same again without sending twice, use idempotency_key ${client_message_id}.`,
    ].join('\n'),
    data: {
      state,
      client_message_id,
      message_id: broker_message_id ?? null,
      recipient_count: recipient_count ?? null,
      last_error: last_error ?? null,
      receipts,
    },
  }
}
