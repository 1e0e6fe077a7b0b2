import type { MemberRecord } from '@claudemesh/protocol'
import type { Member } from '../store/rows.ts'
import { type RequestHandler, responseBytesMax } from './request-handler.ts'

/** Members in order of their ids, as many as one response carries. */
export const listMembers: RequestHandler<'members.list'> = async (dependencies, caller, { after = null, limit }) => {
  const found = await dependencies.store.pageMembers(caller.meshId, { after, limit })
  const members: MemberRecord[] = []
  let bytes = 0
  for (const member of found) {
    const record = toMemberRecord(member)
    bytes += Buffer.byteLength(JSON.stringify(record))
    if (members.length > 0 && bytes > responseBytesMax) break
    members.push(record)
  }
  const complete = members.length === found.length && found.length < limit
  return { members, next: complete ? null : (members.at(-1)?.member_id ?? null) }
}

/** A member as others see it: one that is gone or does not want to be seen looks as if it were away. */
export function toMemberRecord(member: Member): MemberRecord {
  const isSeen = member.visible && member.status === 'active'
  return {
    member_id: member.memberId,
    chain: [...member.chain],
    status: member.status,
    online: isSeen && member.online,
    last_seen_at: member.visible ? member.lastSeenAt : null,
    summary: member.summary,
    activity: member.activity,
  }
}
