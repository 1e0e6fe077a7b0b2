import { type BrokerEvent, MeshError, type TopicRecord } from '@claudemesh/protocol'
import type { Topic } from '../store/rows.ts'
import type { RequestHandler } from './request-handler.ts'

/** Topics in order of their names. */
export const listTopics: RequestHandler<'topics.list'> = async ({ store }, caller, { after = null, limit }) => {
  const topics = await store.pageTopics(caller, { after, limit })
  return { topics: topics.map(toTopicRecord), next: topics.length < limit ? null : (topics.at(-1)?.name ?? null) }
}

/** Subscribes the caller; the first subscription makes the topic. */
export const subscribeTopic: RequestHandler<'topics.subscribe'> = async (dependencies, caller, { topic }) => {
  const { store, runtime, connections } = dependencies
  const outcome = await store.subscribe(caller, { topic, subscribed: true, at: runtime.now() })
  if (outcome === null) throw new Error('a subscription makes its topic')
  if (outcome.changed) connections.broadcast(caller.meshId, [toTopicEvent(outcome.topic)])
  return { topic: toTopicRecord(outcome.topic) }
}

export const unsubscribeTopic: RequestHandler<'topics.unsubscribe'> = async (dependencies, caller, { topic }) => {
  const { store, runtime, connections } = dependencies
  const outcome = await store.subscribe(caller, { topic, subscribed: false, at: runtime.now() })
  if (outcome === null) throw new MeshError('topic_unknown', { detail: `there is no topic #${topic}` })
  if (outcome.changed) connections.broadcast(caller.meshId, [toTopicEvent(outcome.topic)])
  return { topic: toTopicRecord(outcome.topic) }
}

/** Every member's list of topics shows how many would get a post. */
export function toTopicEvent({ name, subscribers }: Pick<Topic, 'name' | 'subscribers'>): BrokerEvent {
  return { kind: 'topic', topic: name, subscribers }
}

function toTopicRecord(topic: Topic): TopicRecord {
  return {
    name: topic.name,
    subscribers: topic.subscribers,
    subscribed: topic.subscribed,
    created_at: topic.createdAt,
  }
}
