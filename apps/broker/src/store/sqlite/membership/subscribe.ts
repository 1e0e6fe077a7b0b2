import assert from 'node:assert/strict'
import { MeshError } from '@claudemesh/protocol'
import type { MemberKey, Topic } from '../../rows.ts'
import type { Counters } from '../statements.ts'
import type { DirectoryStatements } from './statements.ts'

/** Every change of a topic's subscribers is a new epoch of its recipients. */
export function subscribe(
  statements: { readonly directory: DirectoryStatements; readonly counters: Counters },
  key: MemberKey,
  change: { readonly topic: string; readonly subscribed: boolean; readonly at: number },
): { readonly topic: Topic; readonly changed: boolean } | null {
  const { directory, counters } = statements
  const { topic, subscribed, at } = change
  // A request may come to its turn after its member was revoked: nobody who is gone gets into a set of recipients.
  const status = directory.memberStatus(key)
  if (status !== 'active') throw new MeshError(status === 'revoked' ? 'member_revoked' : 'unauthenticated')
  if (subscribed) {
    directory.insertTopic(key, { name: topic, at })
    const sinceHistoryId = counters.read(key.meshId)?.lastHistoryId
    assert(sinceHistoryId !== undefined, 'the mesh of a member is registered')
    return settle(directory, key, { topic, changes: directory.insertSubscription(key, { topic, sinceHistoryId, at }) })
  }
  if (directory.findTopic(key, topic) === null) return null
  return settle(directory, key, { topic, changes: directory.deleteSubscription(key, topic) })
}

function settle(
  directory: DirectoryStatements,
  key: MemberKey,
  { topic, changes }: { readonly topic: string; readonly changes: number },
): { readonly topic: Topic; readonly changed: boolean } {
  if (changes > 0) assert.equal(directory.bumpEpoch(key.meshId, topic), 1, 'the topic is there')
  const found = directory.findTopic(key, topic)
  assert(found !== null, 'the topic is there')
  return { topic: found, changed: changes > 0 }
}
