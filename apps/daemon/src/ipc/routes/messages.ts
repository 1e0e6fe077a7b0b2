/** `GET /v1/messages/:id`, `GET /v1/threads/:id`: inbox and outbox read as one conversation. */
import { MeshError, type Message, messageSchema, threadSchema } from '@claudemesh/protocol'
import { Type } from 'typebox'
import type { Inbox } from '../../inbox/inbox.ts'
import { toMessage } from '../../inbox/message-view.ts'
import { readThread, type ThreadSource } from '../../inbox/threads.ts'
import { threadMessagesMax } from '../../limits.ts'
import type { Members } from '../../members/members.ts'
import type { Outbox, OutboxRow } from '../../outbox/outbox.ts'
import type { RouteFamily } from '../app.ts'
import { toSentMessage } from '../sent-message.ts'

const paramsSchema = Type.Object({ id: Type.String({ minLength: 1, description: 'a broker_message_id' }) })

export function messageRoutes(o: {
  inbox: Inbox
  outbox: Outbox
  members: Members
  self: { memberId: string; name: string }
}): RouteFamily {
  const sources = [receivedMessages(o), sentMessages(o)]
  return (app) => {
    app.get(
      '/v1/messages/:id',
      {
        schema: {
          tags: ['messages'],
          summary: 'One message, received or sent',
          params: paramsSchema,
          response: { 200: messageSchema },
        },
      },
      async ({ params }) => {
        for (const source of sources) {
          const message = source.get(params.id)
          if (message !== null) return message
        }
        throw new MeshError('message_unknown', { data: { id: params.id } })
      },
    )
    app.get(
      '/v1/threads/:id',
      {
        schema: {
          tags: ['messages'],
          summary: 'The reply chain around a message, each message after the one it answers',
          params: paramsSchema,
          response: { 200: threadSchema },
        },
      },
      async ({ params }) => {
        const thread = readThread({ sources, id: params.id, messagesMax: threadMessagesMax })
        if (thread === null) throw new MeshError('message_unknown', { data: { id: params.id } })
        return { root: thread.root, messages: [...thread.messages], truncated: thread.truncated }
      },
    )
  }
}

function receivedMessages(o: { inbox: Inbox; members: Members }): ThreadSource<Message> {
  const view = (row: Parameters<typeof toMessage>[0]) => toMessage(row, o.members.findById(row.sender)?.name ?? null)
  return {
    get: (id) => {
      const row = o.inbox.get(id)
      return row === null ? null : view(row)
    },
    repliesTo: (id, limit) => o.inbox.repliesTo(id, limit).map(view),
  }
}

/** A message to oneself is in both stores; the received one is asked first and stands for it. */
function sentMessages(o: { outbox: Outbox; self: { memberId: string; name: string } }): ThreadSource<Message> {
  const view = (row: OutboxRow | null) => (row === null ? null : toSentMessage(row, o.self))
  return {
    get: (id) => view(o.outbox.getByBrokerMessageId(id)),
    repliesTo: (id, limit) =>
      o.outbox
        .repliesTo(id, limit)
        .map(view)
        .filter((message) => message !== null),
  }
}
