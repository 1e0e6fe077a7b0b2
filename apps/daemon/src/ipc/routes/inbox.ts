/** `GET /v1/inbox`, `/v1/inbox/search`, `POST /v1/inbox/mark`: what this host received. */
import {
  inboxPageSchema,
  inboxQuerySchema,
  inboxSearchQuerySchema,
  markRequestSchema,
  markResponseSchema,
} from '@claudemesh/protocol'
import type { Inbox, InboxRows } from '../../inbox/inbox.ts'
import { toMessage } from '../../inbox/message-view.ts'
import type { Members } from '../../members/members.ts'
import type { RouteFamily } from '../app.ts'
import { findMember } from '../find-member.ts'
import { readTopicName } from '../topic-name.ts'

const pageLimitDefault = 50

export function inboxRoutes(o: { inbox: Inbox; members: Members }): RouteFamily {
  const { inbox, members } = o
  const toPage = ({ rows, next }: InboxRows) => ({
    messages: rows.map((row) => toMessage(row, members.findById(row.sender)?.name ?? null)),
    next,
  })
  return (app) => {
    app.get(
      '/v1/inbox',
      {
        schema: {
          tags: ['inbox'],
          summary: 'Messages received, by pages',
          querystring: inboxQuerySchema,
          response: { 200: inboxPageSchema },
        },
      },
      async ({ query }) =>
        toPage(
          inbox.page({
            order: query.order ?? 'newest',
            after: query.after ?? null,
            since: query.since ?? null,
            topic: query.topic === undefined ? null : readTopicName(query.topic),
            sender: query.from === undefined ? null : findMember(members, query.from, 'from'),
            unread: query.unread ?? false,
            limit: query.limit ?? pageLimitDefault,
          }),
        ),
    )
    app.get(
      '/v1/inbox/search',
      {
        schema: {
          tags: ['inbox'],
          summary: 'Messages received that have all words of a text',
          querystring: inboxSearchQuerySchema,
          response: { 200: inboxPageSchema },
        },
      },
      async ({ query }) =>
        toPage(inbox.search({ text: query.q, after: query.after ?? null, limit: query.limit ?? pageLimitDefault })),
    )
    app.post(
      '/v1/inbox/mark',
      {
        schema: {
          tags: ['inbox'],
          summary: 'Mark messages read, or unread again',
          body: markRequestSchema,
          response: { 200: markResponseSchema },
        },
      },
      async ({ body }) => inbox.mark(body.ids, body.read ?? true),
    )
  }
}
