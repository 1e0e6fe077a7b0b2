import { limits, MeshError } from '@claudemesh/protocol'
import type { RequestHandler } from './request-handler.ts'

/** For whom the caller seals a message to a topic. */
export const listRecipients: RequestHandler<'topics.recipients'> = async ({ store }, caller, { topic }) => {
  const found = await store.listRecipients(caller, { topic, limit: limits.recipientsMax + 1 })
  if (found === null) throw new MeshError('topic_unknown', { detail: `there is no topic #${topic}` })
  if (found.members.length > limits.recipientsMax) {
    throw new MeshError('too_many_recipients', {
      detail: `#${topic} has more than ${limits.recipientsMax} subscribers besides the sender`,
    })
  }
  return { recipients_epoch: found.recipientsEpoch, members: [...found.members] }
}
