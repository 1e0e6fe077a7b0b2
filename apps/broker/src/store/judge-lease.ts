/** Who is granted the lease of a space, and who may append under it: the same for every engine. */
import { limits } from '@claudemesh/protocol'
import { clockSkewMsMax } from '../limits.ts'
import type { LeaseRequest, SpaceAppend, SpaceLease } from './spaces.ts'

/** The lease as it is granted to the member; null: somebody else has it. */
export function grantLease(last: SpaceLease, memberId: string, request: LeaseRequest): SpaceLease | null {
  const { head, now, termMs } = request
  if (last.holder !== memberId && isHeld(last, now)) return null
  return {
    holder: memberId,
    epoch: last.epoch + 1,
    expiresAt: now + termMs,
    head: head.seq > last.head.seq ? head : last.head,
  }
}

/** Whether the lease was granted to the member as that epoch, was not given up, and is the last one. */
export function isLeaseOf({ holder, epoch }: SpaceLease, memberId: string, claimed: number): boolean {
  return holder === memberId && epoch === claimed
}

export function mayAppend(lease: SpaceLease, memberId: string, append: SpaceAppend): boolean {
  return isLeaseOf(lease, memberId, append.epoch) && lease.head.seq === append.after && append.head.seq > append.after
}

/** Brokers over one database have clocks of their own; one that was far ahead keeps nobody out for longer than a term. */
function isHeld({ holder, expiresAt }: SpaceLease, now: number): boolean {
  if (holder === null) return false
  return expiresAt + clockSkewMsMax > now && expiresAt <= now + limits.spaceTermMsMax + clockSkewMsMax
}
