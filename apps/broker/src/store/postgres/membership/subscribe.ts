import assert from 'node:assert/strict'
import { MeshError } from '@claudemesh/protocol'
import type { Session } from '@claudemesh/storage/postgres'
import type { MemberKey, Topic } from '../../rows.ts'
import { lockMeshes } from '../statements.ts'
import { addSubscription, beginEpochs, endSubscription, findTopic, makeTopic } from './directory/statements.ts'
import { findMemberStatus } from './statements.ts'

/**
 * Every change of a topic's subscribers is a new epoch of its recipients. It waits for the messages that are being
 * accepted, and they for it: each message is before the change with the old epoch or after it with the new one.
 */
export async function subscribe(
  session: Session,
  key: MemberKey,
  change: { readonly topic: string; readonly subscribed: boolean; readonly at: number },
): Promise<{ readonly topic: Topic; readonly changed: boolean } | null> {
  const { topic, subscribed, at } = change
  await lockMeshes(session, [key.meshId])
  // A request may come to its turn after its member was revoked: nobody who is gone gets into a set of recipients.
  const status = await findMemberStatus(session, key)
  if (status !== 'active') throw new MeshError(status === 'revoked' ? 'member_revoked' : 'unauthenticated')
  if (subscribed) {
    await makeTopic(session, key, { name: topic, at })
    return settle(session, key, { topic, changes: await addSubscription(session, key, { topic, at }) })
  }
  if ((await findTopic(session, key, topic)) === null) return null
  return settle(session, key, { topic, changes: await endSubscription(session, key, topic) })
}

async function settle(
  session: Session,
  key: MemberKey,
  { topic, changes }: { readonly topic: string; readonly changes: number },
): Promise<{ readonly topic: Topic; readonly changed: boolean }> {
  if (changes > 0) assert.equal(await beginEpochs(session, key.meshId, [topic]), 1, 'the topic is there')
  const found = await findTopic(session, key, topic)
  assert(found !== null, 'the topic is there')
  return { topic: found, changed: changes > 0 }
}
