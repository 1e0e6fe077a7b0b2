/** What members have read, and the receipts for it. */
import { MeshError } from '@claudemesh/protocol'
import { crashPoint, type Tx } from '@claudemesh/storage'
import type { MemberKey } from '../../rows.ts'
import type { ReadMark } from '../../store.ts'
import type { DirectoryStatements } from '../membership/statements.ts'
import type { Counters } from '../statements.ts'
import { leaveReceipt } from './deliveries.ts'
import type { DeliveryStatements } from './statements.ts'

/** @returns the senders for whom a receipt waits now */
export function recordReadMarks(
  tx: Tx,
  statements: {
    readonly deliveries: DeliveryStatements
    readonly directory: DirectoryStatements
    readonly counters: Counters
  },
  reported: { readonly member: MemberKey; readonly marks: readonly ReadMark[]; readonly now: number },
): readonly string[] {
  const { member, marks, now } = reported
  const { deliveries, directory } = statements
  // A request may come to its turn after its member was revoked.
  const status = directory.memberStatus(member)
  if (status !== 'active') throw new MeshError(status === 'revoked' ? 'member_revoked' : 'unauthenticated')
  const notified = new Set<string>()
  for (const { brokerMessageId, at } of marks) {
    const message = deliveries.findAddressed(member, brokerMessageId)
    if (message === undefined || deliveries.insertRead(member, brokerMessageId) === 0) continue
    const told = leaveReceipt(statements, {
      meshId: member.meshId,
      brokerMessageId,
      recipient: member.memberId,
      state: 'read',
      reason: null,
      at: Math.min(now, Math.max(message.acceptedAt, at)),
    })
    if (told !== null) notified.add(told)
  }
  crashPoint('broker.read.before-commit')
  tx.afterCommit(() => crashPoint('broker.read.after-commit'))
  return [...notified]
}
