/** `/v1/sinks`: exports of the history, how far each is, and what an operator does with them. */
import {
  archivePageSchema,
  archiveQuerySchema,
  newSinkSchema,
  sinkListSchema,
  sinkParamsSchema,
  sinkResetAnswerSchema,
  sinkResetSchema,
  sinkRunSchema,
  sinkSchema,
} from '@claudemesh/protocol/sinks'
import type { Sinks } from '../../sinks/sinks.ts'
import type { App, RouteFamily } from '../app.ts'

const tags = ['sinks']
const pageLimitDefault = 50

export function sinkRoutes({ sinks }: { readonly sinks: Sinks }): RouteFamily {
  return (app) => {
    configuredRoutes(app, sinks)
    workRoutes(app, sinks)
    repairRoutes(app, sinks)
  }
}

function configuredRoutes(app: App, sinks: Sinks): void {
  app.get(
    '/v1/sinks',
    { schema: { tags, summary: 'The sinks, and how far each is', response: { 200: sinkListSchema } } },
    async () => ({ sinks: await sinks.list() }),
  )
  app.post(
    '/v1/sinks',
    {
      schema: {
        tags,
        summary: 'Write a sink into the configuration of the mesh, and begin with it',
        body: newSinkSchema,
        response: { 201: sinkSchema },
      },
    },
    async ({ body }, reply) => reply.code(201).send(await sinks.add(body)),
  )
  app.get(
    '/v1/sinks/:name',
    { schema: { tags, summary: 'One sink', params: sinkParamsSchema, response: { 200: sinkSchema } } },
    async ({ params }) => await sinks.get(params.name),
  )
  app.delete(
    '/v1/sinks/:name',
    { schema: { tags, summary: 'Take a sink out of the configuration; its exports stay', params: sinkParamsSchema } },
    async ({ params }, reply) => {
      await sinks.remove(params.name)
      return reply.code(204).send()
    },
  )
}

function workRoutes(app: App, sinks: Sinks): void {
  app.post(
    '/v1/sinks/:name/run',
    {
      schema: {
        tags,
        summary: 'Export everything there is now; a run that is under way is joined',
        params: sinkParamsSchema,
        response: { 200: sinkRunSchema },
      },
    },
    async ({ params }) => await sinks.run(params.name),
  )
  app.post(
    '/v1/sinks/:name/pause',
    {
      schema: {
        tags,
        summary: 'End the run under way, and run no more by the schedule',
        params: sinkParamsSchema,
        response: { 200: sinkSchema },
      },
    },
    async ({ params }) => await sinks.pause(params.name),
  )
  app.post(
    '/v1/sinks/:name/resume',
    {
      schema: { tags, summary: 'Run by the schedule again', params: sinkParamsSchema, response: { 200: sinkSchema } },
    },
    async ({ params }) => await sinks.resume(params.name),
  )
}

function repairRoutes(app: App, sinks: Sinks): void {
  app.post(
    '/v1/sinks/:name/reset',
    {
      schema: {
        tags,
        summary: 'Say how far the destination is, whatever the watermark says',
        params: sinkParamsSchema,
        body: sinkResetSchema,
        response: { 200: sinkResetAnswerSchema },
      },
    },
    async ({ params, body }) => ({ partitions: await sinks.reset(params.name, body) }),
  )
  app.get(
    '/v1/sinks/:name/rows',
    {
      schema: {
        tags,
        summary: 'Rows that a sink has exported as objects, by pages',
        params: sinkParamsSchema,
        querystring: archiveQuerySchema,
        response: { 200: archivePageSchema },
      },
    },
    async ({ params, query }) => {
      const { partition, after = '0', limit = pageLimitDefault } = query
      return await sinks.exportedRows(params.name, { partition, after: Number(after), limit })
    },
  )
}
