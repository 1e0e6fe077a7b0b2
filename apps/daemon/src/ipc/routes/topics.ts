/** `POST /v1/topic/subscribe`, `/v1/topic/unsubscribe`, `GET /v1/topic/list`. */
import { type Topic, topicListSchema, topicRequestSchema, topicSchema } from '@claudemesh/protocol'
import type { Members } from '../../members/members.ts'
import type { RouteFamily } from '../app.ts'
import { awaitConfirmation } from '../broker-confirmation.ts'
import { readTopicName } from '../topic-name.ts'

/** @param o.reconcile brings what the broker has in line with what is wanted */
export function topicRoutes(o: { members: Members; reconcile: () => Promise<void> }): RouteFamily {
  const { members, reconcile } = o
  const want = async (text: string, wanted: boolean): Promise<Topic> => {
    const name = readTopicName(text)
    members.setWanted(name, wanted)
    await awaitConfirmation(reconcile)
    const known = members.topics().find((topic) => topic.name === name)
    return known ?? { name, wanted, subscribed: false, subscribers: null }
  }
  return (app) => {
    app.post(
      '/v1/topic/subscribe',
      {
        schema: {
          tags: ['topics'],
          summary: 'Receive the messages of a topic; it is made when there is none',
          body: topicRequestSchema,
          response: { 200: topicSchema },
        },
      },
      async ({ body }) => want(body.topic, true),
    )
    app.post(
      '/v1/topic/unsubscribe',
      {
        schema: {
          tags: ['topics'],
          summary: 'Receive the messages of a topic no longer',
          body: topicRequestSchema,
          response: { 200: topicSchema },
        },
      },
      async ({ body }) => want(body.topic, false),
    )
    app.get(
      '/v1/topic/list',
      {
        schema: { tags: ['topics'], summary: 'Topics of the mesh', response: { 200: topicListSchema } },
      },
      async () => ({ topics: members.topics(), synced_at: members.topicsSyncedAt() }),
    )
  }
}
