import { crashPoint } from '@claudemesh/storage'
import type { MemberKey } from '../../rows.ts'
import type { Retention } from '../../store.ts'
import { leaveReceipt, leaveReceiptFor } from '../deliveries/deliveries.ts'
import type { DeliveryStatements } from '../deliveries/statements.ts'
import type { Counters } from '../statements.ts'
import type { RetentionStatements } from './statements.ts'

const dayMs = 86_400_000

interface Statements {
  readonly retention: RetentionStatements
  readonly deliveries: DeliveryStatements
  readonly counters: Counters
}

/**
 * Deletes what is past its retention, oldest first, until `rowsMax` rows are gone. Whoever waited for a message is told
 * to its sender before the message goes, in the same transaction.
 */
export function expireMessages(
  statements: Statements,
  options: Retention,
): { readonly rows: number; readonly notified: readonly MemberKey[] } {
  const notified = new Map<string, MemberKey>()
  let rows = 0
  for (const { meshId, messageRetentionDays } of statements.retention.listMeshes()) {
    const before = options.now - (messageRetentionDays ?? options.messageRetentionDays) * dayMs
    for (const message of statements.retention.oldestMessages(meshId, {
      latest: options.now + dayMs,
      limit: options.rowsMax,
    })) {
      // The history is in order of acceptance: the first that may stay ends the walk.
      if (message.acceptedAt >= before || rows >= options.rowsMax) break
      for (const memberId of reportUndelivered(statements, {
        meshId,
        brokerMessageId: message.brokerMessageId,
        options,
      })) {
        notified.set(`${meshId}/${memberId}`, { meshId, memberId })
      }
      rows += statements.retention.deleteMessage(meshId, message)
    }
    rows += statements.retention.deleteReceipts({ meshId, before, limit: Math.max(0, options.rowsMax - rows) })
  }
  crashPoint('broker.retention.before-commit')
  return { rows, notified: [...notified.values()] }
}

function reportUndelivered(
  statements: Statements,
  about: { readonly meshId: string; readonly brokerMessageId: string; readonly options: Retention },
): readonly string[] {
  const { meshId, brokerMessageId, options } = about
  const expiry = { meshId, brokerMessageId, state: 'undeliverable', reason: 'expired', at: options.now } as const
  const work = statements.retention.findUndone(brokerMessageId)
  if (work !== null) {
    const told = leaveReceiptFor(statements, work, { ...expiry, recipient: work.recipient })
    return told === null ? [] : [told]
  }
  return statements.retention
    .waitingRecipients(brokerMessageId)
    .flatMap(({ recipient }) => leaveReceipt(statements, { ...expiry, recipient }) ?? [])
}
