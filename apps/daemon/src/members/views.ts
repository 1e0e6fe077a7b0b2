/** Members and topics as `/v1/peers` and `/v1/topic/list` show them. */
import type { Peer, Topic } from '@claudemesh/protocol'
import type { DirectoryMember } from './directory-member.ts'
import type { TopicRow } from './statements.ts'

export function toPeer(member: DirectoryMember, selfId: string): Peer {
  return {
    member_id: member.memberId,
    name: member.name,
    role: member.role,
    self: member.memberId === selfId,
    status: member.status,
    online: member.online,
    last_seen_at: member.lastSeenAt,
    summary: member.summary,
    activity: member.activity,
  }
}

export function toTopic(row: TopicRow): Topic {
  return { name: row.name, wanted: row.wanted === true, subscribed: row.subscribed, subscribers: row.subscribers }
}
