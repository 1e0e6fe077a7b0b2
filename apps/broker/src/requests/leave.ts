import { departureRowsMax } from '../limits.ts'
import type { Departure } from '../store/departures.ts'
import type { MemberKey } from '../store/rows.ts'
import { toMemberRecord } from './members.ts'
import type { RequestDependencies, RequestHandler } from './request-handler.ts'
import { toTopicEvent } from './topics.ts'

/** The caller leaves. Its connections are closed when it has its answer. */
export const leaveMesh: RequestHandler<'members.leave'> = async (dependencies, caller) => {
  await endMembership(dependencies, caller, { leaseEnded: false })
  return {}
}

/**
 * Ends the membership of an active member, and tells those who are there.
 *
 * @param how.leaseEnded only if its lease is over
 */
export async function endMembership(
  dependencies: RequestDependencies,
  member: MemberKey,
  how: { readonly leaseEnded: boolean },
): Promise<void> {
  const { store, runtime, connections } = dependencies
  const departure = await store.leave(member, { ...how, at: runtime.now(), rowsMax: departureRowsMax })
  if (departure === null) return
  connections.finish(member, 'normal')
  const record = await store.findMember(member)
  if (record === null) throw new Error('a member that left is still known')
  const event = { kind: 'member', member: toMemberRecord(record) } as const
  connections.broadcast(member.meshId, [event])
  announceDeparture(dependencies, member.meshId, departure)
}

/** Tells whose topics have other recipients now, and hands out the receipts that departures have left. */
export function announceDeparture(
  { connections, wake, wakeQueues }: Pick<RequestDependencies, 'connections' | 'wake' | 'wakeQueues'>,
  meshId: string,
  { topics, notified }: Departure,
): void {
  connections.broadcast(meshId, topics.map(toTopicEvent))
  for (const memberId of notified) wake({ meshId, memberId })
  // What those who went had leased can be taken by others.
  wakeQueues(meshId)
}
