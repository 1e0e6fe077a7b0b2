import { toMemberRecord } from './members.ts'
import type { RequestHandler } from './request-handler.ts'

/** Sets what others see of the caller, and tells them. */
export const setProfile: RequestHandler<'profile.set'> = async (dependencies, caller, profile) => {
  await dependencies.store.setProfile(caller, profile)
  const member = await dependencies.store.findMember(caller)
  if (member === null) throw new Error('a member that is connected is there')
  const event = { kind: 'member', member: toMemberRecord(member) } as const
  dependencies.connections.broadcast(caller.meshId, [event])
  return {}
}
