/** `/v1/queue/*`: work queues. Everything here asks the broker, who keeps them. */
import {
  limits,
  queueAckRequestSchema,
  queueConsumeRequestSchema,
  queueDeadQuerySchema,
  queueDeadResponseSchema,
  queueDeadSelectionSchema,
  queueDropResponseSchema,
  queueExtendRequestSchema,
  queueLeaveRequestSchema,
  queueListQuerySchema,
  queueListSchema,
  queueNackRequestSchema,
  queueRequeueResponseSchema,
  queueSchema,
  queueSettleResponseSchema,
  queueTakeRequestSchema,
  queueTakeResponseSchema,
} from '@claudemesh/protocol'
import { leaseMsDefault, queuesPageDefault } from '../../limits.ts'
import type { WorkQueues } from '../../queues/queues.ts'
import type { App, RouteFamily } from '../app.ts'
import { readQueueName } from '../queue-name.ts'

/** @param o.stopping ends waits when the daemon stops */
export function queueRoutes(o: { queues: WorkQueues; stopping: AbortSignal }): RouteFamily {
  return (app) => {
    consumerRoutes(app, o.queues)
    takeRoute(app, o)
    settleRoutes(app, o.queues)
    deadRoutes(app, o.queues)
  }
}

const tags = ['queues']

function consumerRoutes(app: App, queues: WorkQueues): void {
  app.get(
    '/v1/queue/list',
    {
      schema: {
        tags,
        summary: 'Work queues of the mesh',
        querystring: queueListQuerySchema,
        response: { 200: queueListSchema },
      },
    },
    async ({ query }) => {
      const after = query.after === undefined ? {} : { after: readQueueName(query.after, 'after') }
      return await queues.list({ ...after, limit: query.limit ?? queuesPageDefault })
    },
  )
  app.post(
    '/v1/queue/consume',
    {
      schema: {
        tags,
        summary:
          'Become a consumer of a queue, which is made when there is none; what is sent from now on can be taken',
        body: queueConsumeRequestSchema,
        response: { 200: queueSchema },
      },
    },
    async ({ body }) => {
      const deliveries = body.max_deliveries === undefined ? {} : { max_deliveries: body.max_deliveries }
      return await queues.consume({ queue: readQueueName(body.queue), ...deliveries })
    },
  )
  app.post(
    '/v1/queue/leave',
    {
      schema: {
        tags,
        summary: 'Be a consumer of a queue no longer; what is leased goes back',
        body: queueLeaveRequestSchema,
        response: { 200: queueSchema },
      },
    },
    async ({ body }) => await queues.leave(readQueueName(body.queue)),
  )
}

function takeRoute(app: App, { queues, stopping }: { queues: WorkQueues; stopping: AbortSignal }): void {
  app.post(
    '/v1/queue/take',
    {
      schema: {
        tags,
        summary: 'Lease messages of a queue; waits for the first one as long as `wait_ms` says',
        body: queueTakeRequestSchema,
        response: { 200: queueTakeResponseSchema },
      },
    },
    async ({ body }, reply) => {
      const gone = new AbortController()
      reply.raw.once('close', () => gone.abort())
      const params = {
        queue: readQueueName(body.queue),
        limit: body.limit ?? 1,
        lease_ms: body.lease_ms ?? leaseMsDefault,
        wait_ms: body.wait_ms ?? 0,
      }
      return await queues.take(params, AbortSignal.any([stopping, gone.signal]))
    },
  )
}

function settleRoutes(app: App, queues: WorkQueues): void {
  const response = { 200: queueSettleResponseSchema }
  app.post(
    '/v1/queue/ack',
    { schema: { tags, summary: 'Messages are done', body: queueAckRequestSchema, response } },
    async ({ body }) =>
      await queues.settle(body.items.map(({ id, lease_id }) => ({ broker_message_id: id, lease_id, action: 'ack' }))),
  )
  app.post(
    '/v1/queue/nack',
    {
      schema: {
        tags,
        summary: 'Messages go back, to be taken again after a delay; dead if that was their last delivery',
        body: queueNackRequestSchema,
        response,
      },
    },
    async ({ body }) =>
      await queues.settle(body.items.map(({ id, ...item }) => ({ broker_message_id: id, ...item, action: 'nack' }))),
  )
  app.post(
    '/v1/queue/extend',
    {
      schema: {
        tags,
        summary: 'Messages are still being worked on: their leases end so long from now',
        body: queueExtendRequestSchema,
        response,
      },
    },
    async ({ body }) =>
      await queues.settle(body.items.map(({ id, ...item }) => ({ broker_message_id: id, ...item, action: 'extend' }))),
  )
}

function deadRoutes(app: App, queues: WorkQueues): void {
  app.get(
    '/v1/queue/dead',
    {
      schema: {
        tags,
        summary: 'Messages of a queue that were given up, oldest first',
        querystring: queueDeadQuerySchema,
        response: { 200: queueDeadResponseSchema },
      },
    },
    async ({ query }) => {
      const after = query.after === undefined ? {} : { after: query.after }
      const limit = query.limit ?? limits.queueTakeMax
      return await queues.listDead({ queue: readQueueName(query.queue), ...after, limit })
    },
  )
  app.post(
    '/v1/queue/requeue',
    {
      schema: {
        tags,
        summary: 'Dead messages wait again, as if they had never been taken',
        body: queueDeadSelectionSchema,
        response: { 200: queueRequeueResponseSchema },
      },
    },
    async ({ body }) => ({ requeued: await queues.requeue(readQueueName(body.queue), body.ids) }),
  )
  app.post(
    '/v1/queue/drop',
    {
      schema: {
        tags,
        summary: 'Dead messages are given up for good',
        body: queueDeadSelectionSchema,
        response: { 200: queueDropResponseSchema },
      },
    },
    async ({ body }) => ({ dropped: await queues.drop(readQueueName(body.queue), body.ids) }),
  )
}
