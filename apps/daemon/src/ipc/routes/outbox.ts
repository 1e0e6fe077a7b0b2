/** `/v1/outbox`: what this host sent and what became of it, and what an operator does about it. */
import {
  dropResponseSchema,
  type FreezeResponse,
  freezeResponseSchema,
  isUlid,
  MeshError,
  outboxDetailSchema,
  outboxListSchema,
  outboxQuerySchema,
  pruneRequestSchema,
  pruneResponseSchema,
  requeueRequestSchema,
  requeueResponseSchema,
} from '@claudemesh/protocol'
import { Type } from 'typebox'
import type { Outbox, OutboxSummary } from '../../outbox/outbox.ts'
import type { OperateOutbox } from '../../send/requeue.ts'
import { toReceiptView, toRowView } from '../../send/views.ts'
import type { App, RouteFamily } from '../app.ts'

const pageLimitDefault = 50
const idParams = Type.Object({ id: Type.String({ minLength: 1, description: 'an outbox id' }) })
const keyParams = Type.Object({
  client_message_id: Type.String({ minLength: 1, description: 'a client_message_id, or an outbox id' }),
})

export function outboxRoutes(o: {
  outbox: Outbox
  operate: OperateOutbox
  freeze: () => Promise<FreezeResponse>
}): RouteFamily {
  return (app) => {
    readingRoutes(app, o.outbox)
    operatorRoutes(app, o.operate)
    app.post(
      '/v1/outbox/freeze',
      {
        schema: {
          tags: ['outbox'],
          summary: 'Seal what waits and can be sealed, so that a backup holds the bytes that will travel',
          response: { 200: freezeResponseSchema },
        },
      },
      async () => await o.freeze(),
    )
  }
}

function readingRoutes(app: App, outbox: Outbox): void {
  const view = (row: OutboxSummary) => toRowView(row, outbox.receipts(row.id))
  app.get(
    '/v1/outbox',
    {
      schema: {
        tags: ['outbox'],
        summary: 'Rows of the outbox by pages, newest first',
        querystring: outboxQuerySchema,
        response: { 200: outboxListSchema },
      },
    },
    async ({ query }) => {
      const limit = query.limit ?? pageLimitDefault
      // One more than asked for tells whether there is another page.
      const found = outbox.list({ status: query.status ?? null, after: query.after ?? null, limit: limit + 1 })
      if (found === null) throw new MeshError('invalid_cursor', { data: { field: 'after' } })
      const rows = found.slice(0, limit)
      return { rows: rows.map(view), next: found.length > limit ? (rows.at(-1)?.id ?? null) : null }
    },
  )
  app.get(
    '/v1/outbox/:client_message_id',
    {
      schema: {
        tags: ['outbox'],
        summary: 'One row with its receipts and the chain of its successors',
        params: keyParams,
        response: { 200: outboxDetailSchema },
      },
    },
    async ({ params }) => {
      const key = params.client_message_id
      const row = outbox.getByClientMessageId(key) ?? (isUlid(key) ? outbox.get(key) : null)
      if (row === null) throw new MeshError('outbox_row_unknown', { data: { client_message_id: key } })
      const receipts = outbox.receipts(row.id)
      return {
        row: toRowView(row, receipts),
        receipts: receipts.map(toReceiptView),
        chain: outbox.chain(row.id).map(view),
      }
    },
  )
}

function operatorRoutes(app: App, operate: OperateOutbox): void {
  app.post(
    '/v1/outbox/:id/requeue',
    {
      schema: {
        tags: ['outbox'],
        summary: 'Give a pending or dead row a second life under a new id',
        params: idParams,
        body: Type.Union([requeueRequestSchema, Type.Null()]),
        response: { 200: requeueResponseSchema },
      },
    },
    async ({ params, body }) => operate.requeue(params.id, body ?? {}),
  )
  app.post(
    '/v1/outbox/:id/drop',
    {
      schema: {
        tags: ['outbox'],
        summary: 'End a pending or dead row for good',
        params: idParams,
        response: { 200: dropResponseSchema },
      },
    },
    async ({ params }) => operate.drop(params.id),
  )
  app.post(
    '/v1/outbox/prune',
    {
      schema: {
        tags: ['outbox'],
        summary: 'Delete dead and aborted rows; their ids are free then',
        body: pruneRequestSchema,
        response: { 200: pruneResponseSchema },
      },
    },
    async ({ body }) => operate.prune(body),
  )
}
