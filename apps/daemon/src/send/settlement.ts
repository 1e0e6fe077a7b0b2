import type { ErrorCode, SendResult } from '@claudemesh/protocol'
import { resealsAtOnceMax } from '../limits.ts'
import type { Settlement } from '../outbox/outbox.ts'
import { backoffMs, delayMs } from './backoff.ts'
import { errorText, outcomeOf } from './outcome-table.ts'
import type { Transmission } from './transmissions.ts'

/**
 * What a result of the broker makes of the row it is about, by the outcome table.
 *
 * @param o.random in [0, 1); results that arrive together share it, so that their rows come back in their order
 */
export function settlementOf(o: {
  readonly result: SendResult
  readonly transmission: Pick<Transmission, 'outboxId' | 'attempts' | 'isRestored'>
  readonly random: number
}): Settlement {
  const { result, random } = o
  const { outboxId, attempts, isRestored } = o.transmission
  const outcome = outcomeOf(result)
  if ('broker_message_id' in result) {
    return {
      outboxId,
      move: 'accepted',
      brokerMessageId: result.broker_message_id,
      historyId: result.history_id,
      recipientCount: result.recipient_count,
    }
  }
  const lastError = errorText(result)
  switch (outcome) {
    case 'refused': {
      const isTaken = result.code === ('idempotency_key_reused' satisfies ErrorCode)
      return { outboxId, move: 'refused', lastError: isRestored && isTaken ? sentAfterBackup : lastError }
    }
    case 'retry':
      return {
        outboxId,
        move: 'retry',
        delayMs: delayMs({ attempts, random, retryAfterMs: result.retry_after_ms }),
        lastError,
        reseal: false,
      }
    case 'reseal':
      return {
        outboxId,
        move: 'retry',
        // A set of recipients that changes faster than it can be sealed for must not keep both sides busy.
        delayMs: attempts < resealsAtOnceMax ? 0 : backoffMs(attempts, random),
        lastError,
        reseal: true,
      }
    case 'accepted':
      throw new Error(`a result of status ${result.status} names no message`)
    default:
      return outcome satisfies never
  }
}

/**
 * Of a row out of a backup whose id the broker knows with other bytes. Ids are not given out twice, so it is this message:
 * it was sealed, or sealed anew, only after the backup was made.
 */
const sentAfterBackup = errorText({
  code: 'sent_after_backup' satisfies ErrorCode,
  detail:
    'the broker has this message already, it was sent after the backup was made from which this row came. It was not sent a second time: drop the row, for requeueing it would do so',
})
