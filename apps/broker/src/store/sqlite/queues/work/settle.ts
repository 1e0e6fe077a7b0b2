/** What becomes of work that was given out. What is decided is in queue-states.ts. */
import assert from 'node:assert/strict'
import { crashPoint, type Tx } from '@claudemesh/storage'
import { judgeSettlement } from '../../../queue-states.ts'
import type { DeadSelection, QueueRefusal, SettleItem, SettleOutcome } from '../../../queues.ts'
import type { MemberKey } from '../../../rows.ts'
import { leaveReceiptFor } from '../../deliveries/deliveries.ts'
import type { DeliveryStatements } from '../../deliveries/statements.ts'
import type { Counters } from '../../statements.ts'
import type { QueueStatements } from '../statements.ts'
import type { Work, WorkStatements } from './statements.ts'
import { judgeConsumer } from './take.ts'

export interface SettleStatements {
  readonly work: WorkStatements
  readonly deliveries: DeliveryStatements
  readonly counters: Counters
}

export function settleAll(
  tx: Tx,
  statements: SettleStatements,
  settling: { readonly member: MemberKey; readonly items: readonly SettleItem[]; readonly now: number },
): SettleOutcome {
  const { member, items, now } = settling
  const notified = new Set<string>()
  const returnedTo = new Set<string>()
  const outcomes = items.map((item): SettleOutcome['outcomes'][number] => {
    const found = statements.work.findWork(member.meshId, item.brokerMessageId)
    if (found === null) return 'unknown'
    const verdict = judgeSettlement(found, { ...item, memberId: member.memberId })
    if (verdict !== 'finish' && verdict !== 'return' && verdict !== 'extend') return verdict
    const { outcome, told } = settle(statements, found, { member, item, now })
    if (told !== null) notified.add(told)
    if (outcome === 'returned') returnedTo.add(found.queue)
    return outcome
  })
  crashPoint('broker.settle.before-commit')
  tx.afterCommit(() => crashPoint('broker.settle.after-commit'))
  return { outcomes, notified: [...notified], returnedTo: [...returnedTo] }
}

interface Settling {
  readonly outcome: 'done' | 'returned' | 'dead' | 'extended'
  /** Who is told of it. */
  readonly told: string | null
}

/** Settles what is leased to the member. */
function settle(
  statements: SettleStatements,
  found: Work,
  { member, item, now }: { readonly member: MemberKey; readonly item: SettleItem; readonly now: number },
): Settling {
  const { work } = statements
  const { brokerMessageId } = item
  switch (item.action) {
    case 'ack': {
      assert.equal(work.finish(brokerMessageId, now), 1, 'it is leased')
      const fact = { meshId: member.meshId, brokerMessageId, recipient: member.memberId, at: now }
      const told = leaveReceiptFor(statements, found, { ...fact, state: 'delivered', reason: null })
      return { outcome: 'done', told }
    }
    case 'nack': {
      if (found.lastTry === 1) {
        const consumer = { meshId: member.meshId, memberId: member.memberId }
        return { outcome: 'dead', told: bury(statements, found, { consumer, now, reason: item.reason }) }
      }
      assert.equal(work.putBack(brokerMessageId, item), 1, 'it is leased')
      return { outcome: 'returned', told: null }
    }
    case 'extend':
      assert.equal(work.extend(brokerMessageId, item.leaseUntil), 1, 'it is leased')
      return { outcome: 'extended', told: null }
    default:
      return item satisfies never
  }
}

/** @returns who is told of it */
function bury(
  statements: SettleStatements,
  found: Work,
  death: { readonly consumer: MemberKey; readonly now: number; readonly reason: string | null },
): string | null {
  const { brokerMessageId } = found
  const { consumer, now, reason } = death
  assert.equal(statements.work.bury(brokerMessageId, { now, reason }), 1, 'it was open a moment ago')
  const fact = { meshId: consumer.meshId, brokerMessageId, recipient: consumer.memberId, at: now } as const
  return leaveReceiptFor(statements, found, { ...fact, state: 'undeliverable', reason: 'max_deliveries' })
}

export function buryExhausted(
  statements: SettleStatements,
  { now, rowsMax }: { readonly now: number; readonly rowsMax: number },
): { readonly rows: number; readonly notified: readonly MemberKey[] } {
  const notified = new Map<string, MemberKey>()
  const exhausted = statements.work.listExhausted(now, rowsMax)
  for (const found of exhausted) {
    const { meshId } = found
    const consumer = { meshId, memberId: found.leasedBy }
    const memberId = bury(statements, found, { consumer, now, reason: null })
    if (memberId !== null) notified.set(`${meshId}/${memberId}`, { meshId, memberId })
  }
  crashPoint('broker.bury.before-commit')
  return { rows: exhausted.length, notified: [...notified.values()] }
}

/** Requeues or drops the dead ones of a selection. @returns how many they were */
export function settleDead(
  statements: { readonly queues: QueueStatements; readonly work: WorkStatements },
  key: MemberKey,
  { action, queue, brokerMessageIds, now }: DeadSelection & { readonly action: 'requeue' | 'drop' },
): number | QueueRefusal {
  const refusal = judgeConsumer(statements, key, queue)
  if (refusal !== null) return refusal
  const settleOne = statements.work[action]
  let count = 0
  for (const id of brokerMessageIds) count += settleOne({ meshId: key.meshId, queue }, { id, now })
  return count
}
