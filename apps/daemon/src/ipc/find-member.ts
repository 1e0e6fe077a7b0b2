import { MeshError, parseAddress } from '@claudemesh/protocol'
import type { Members } from '../members/members.ts'

/**
 * The id of a member whose messages are asked for. An id needs no directory: messages outlive memberships.
 *
 * @param field of the request, for whoever has to correct it
 * @throws MeshError `invalid_destination`, `recipient_unknown`, `recipient_ambiguous`
 */
export function findMember(members: Members, text: string, field: string): string {
  const address = parseAddress(text)
  if (address?.kind === 'member_id') return address.memberId
  if (address?.kind !== 'member_name') throw new MeshError('invalid_destination', { data: { field } })
  const [member, ...others] = members.findByName(address.name)
  if (member === undefined) {
    throw new MeshError('recipient_unknown', { data: { field, near: members.nearNames(address.name) } })
  }
  if (others.length > 0) {
    const candidates = [member, ...others].map((candidate) => candidate.memberId)
    throw new MeshError('recipient_ambiguous', { data: { field, candidates } })
  }
  return member.memberId
}
