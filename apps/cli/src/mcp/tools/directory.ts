import { Type } from 'typebox'
import { tool } from '../tool.ts'

export const directory = tool({
  name: 'directory',
  title: 'Who is in the mesh',
  description:
    'Lists the members of the mesh with what they say of themselves and whether they are online, and the topics. With subscribe or unsubscribe ' +
    'it first begins or ends getting the messages of a topic; a subscription outlives this session.',
  input: Type.Object(
    {
      subscribe: Type.Optional(Type.String({ minLength: 1, maxLength: 65, description: 'a topic' })),
      unsubscribe: Type.Optional(Type.String({ minLength: 1, maxLength: 65, description: 'a topic' })),
    },
    { additionalProperties: false },
  ),
  isReadOnly: false,
  isIdempotent: true,
  async run({ subscribe, unsubscribe }, { client }) {
    if (subscribe !== undefined) await client.topicSubscribe(subscribe.replace(/^#/, ''))
    if (unsubscribe !== undefined) await client.topicUnsubscribe(unsubscribe.replace(/^#/, ''))
    const [{ peers, synced_at }, { topics }] = await Promise.all([client.peers(), client.topics()])
    const active = peers.filter(({ status }) => status === 'active')
    return {
      text: [
        ...active.map(({ name, self, online, summary, activity }) => {
          const about = [activity, summary].filter((part) => part !== null && part !== '').join(': ')
          return `@${name}${self ? ' (you)' : ''}, ${online ? 'online' : 'offline'}${about === '' ? '' : `: ${about}`}`
        }),
        ...topics.map(({ name, wanted }) => `#${name}${wanted ? ', subscribed' : ''}`),
        ...(synced_at === null ? ['The broker has not been reached yet: others may be missing.'] : []),
      ].join('\n'),
      data: { peers: active, topics, synced_at },
    }
  },
})
