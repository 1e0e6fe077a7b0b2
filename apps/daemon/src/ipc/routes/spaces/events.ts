/** `/v1/spaces/:space/events`: deciding, and reading what was decided, by pages or as it comes. */
import { type DecisionDraft, type DecisionEvent, eventsHeadersSchema } from '@claudemesh/protocol'
import {
  appendedSchema,
  appendRequestSchema,
  type DecisionList,
  decisionListSchema,
  decisionsQuerySchema,
  type RecordedDecision,
  spaceParamsSchema,
} from '@claudemesh/protocol/spaces'
import { decisionsPageCharactersMax, decisionsPageDefault } from '../../../space-limits.ts'
import { orNothing } from '../../../spaces/reading.ts'
import { judge, signDrafts } from '../../../spaces/signatures.ts'
import { answerAsIs } from '../../answer-as-is.ts'
import type { App } from '../../app.ts'
import { readIdempotencyKey } from '../../idempotency-key.ts'
import { cursorOf, type NumberedEvent, serveNumbered } from '../../numbered-stream.ts'
import type { SpaceRouteOptions } from './route-options.ts'

const tags = ['spaces']
const path = '/v1/spaces/:space/events'
const answers = {
  description: 'Decisions after `after`: at most `limit` of them, or without end as server-sent events',
  content: {
    'application/json': { schema: decisionListSchema },
    'text/event-stream': { schema: { type: 'string' } },
  },
}

export function eventRoutes(app: App, o: SpaceRouteOptions): void {
  appendRoute(app, o)
  readRoute(app, o)
}

function appendRoute(app: App, { spaces, actor, keys, nextId }: SpaceRouteOptions): void {
  app.post(
    path,
    {
      schema: {
        tags,
        summary: 'Decide: all of it or nothing, kept when answered',
        description:
          '`Idempotency-Key` is the id of the intent: the same one again gives the events that it made the first time.',
        params: spaceParamsSchema,
        body: appendRequestSchema,
        response: { 201: appendedSchema },
      },
    },
    async (request, reply) => {
      const { space } = request.params
      const { decisions, expect_head: expectHead, sign = false } = request.body
      const intentId = readIdempotencyKey(request).idempotencyKey ?? nextId()
      // The library says what is wrong with one that is none.
      const drafts = decisions.map((decision) => ({ ...decision, actor }) as DecisionDraft)
      const said = sign ? await signDrafts(drafts, { space, intentId, keys }) : drafts
      const events = await spaces.append(space, said, {
        intentId,
        ...(expectHead === undefined ? {} : { expectHead }),
      })
      const recorded = await judge(keys)
      return answerAsIs(reply.code(201), { events: events.map(recorded) })
    },
  )
}

function readRoute(app: App, { spaces, keys, streams, stopping }: SpaceRouteOptions): void {
  app.get(
    path,
    {
      exposeHeadRoute: false,
      config: { stream: true },
      schema: {
        tags,
        summary: 'What was decided, in order',
        description:
          'A page, unless `Accept` names text/event-stream: then every decision after `Last-Event-ID` or `after`, for ever.',
        params: spaceParamsSchema,
        headers: eventsHeadersSchema,
        querystring: decisionsQuerySchema,
        response: { 200: answers },
      },
    },
    async (request, reply) => {
      const { space } = request.params
      const { after = 0, limit = decisionsPageDefault } = request.query
      const recorded = await judge(keys)
      if (request.headers.accept?.toLowerCase().includes('text/event-stream') !== true) {
        const page = await spaces.within(space, (_, log) => readPage(orNothing(log.events(space, { after })), limit))
        return answerAsIs(reply, { ...page, events: page.events.map(recorded) } satisfies DecisionList)
      }
      const since = cursorOf(request, after)
      const follow = (signal: AbortSignal) =>
        spaces.within(space, (_, log) => numbered(log.watch(space, since, signal), recorded))
      return streams.alongside(() => serveNumbered(reply, { since, stopping, follow }))
    },
  )
}

async function readPage(source: AsyncIterable<DecisionEvent>, limit: number) {
  const events: DecisionEvent[] = []
  let characters = 0
  for await (const event of source) {
    if (events.length === limit || characters > decisionsPageCharactersMax) {
      return { events, next: events.at(-1)?.seq ?? null }
    }
    events.push(event)
    characters += JSON.stringify(event.payload).length
  }
  return { events, next: null }
}

async function* numbered(
  events: AsyncIterable<DecisionEvent>,
  recorded: (event: DecisionEvent) => RecordedDecision,
): AsyncGenerator<NumberedEvent> {
  for await (const event of events) yield { id: event.seq, type: 'decision', data: JSON.stringify(recorded(event)) }
}
