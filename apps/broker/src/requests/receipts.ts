import type { RequestHandler } from './request-handler.ts'

/** Keeps what the caller's reader has marked read, then tells the senders who are there. */
export const reportRead: RequestHandler<'receipts.read'> = async ({ store, wake }, caller, { items }) => {
  const marks = items.map((item) => ({ brokerMessageId: item.broker_message_id, at: item.at }))
  const notified = await store.recordRead(caller, marks)
  for (const memberId of notified) wake({ meshId: caller.meshId, memberId })
  return {}
}
