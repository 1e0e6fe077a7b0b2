import type { EndedSeat, SeatKey, SeatOutcome, SeatRequest } from './seats.ts'

/**
 * Which seats of a member go when it connects again (05 §2), the same for every engine. A process that reconnects before
 * its old connection was noticed to be gone is not a second one.
 */
export function judgeSeat(
  request: SeatRequest,
  others: readonly (SeatKey & { readonly instanceId: string })[],
): Exclude<SeatOutcome, { kind: 'node_ended' }> {
  const isOwn = (other: { readonly instanceId: string }) => other.instanceId === request.instanceId
  const foreign = others.some((other) => !isOwn(other))
  if (foreign && request.policy === 'prefer_oldest') return { kind: 'refused' }
  const ended = others.flatMap((other): EndedSeat[] => {
    const { meshId, memberId, connectionId } = other
    if (isOwn(other)) return [{ meshId, memberId, connectionId, ending: 'gone' }]
    if (request.policy === 'allow_concurrent') return []
    return [{ meshId, memberId, connectionId, ending: 'replaced_by_newer_connection' }]
  })
  return { kind: 'seated', ended }
}
