import type { DeliveryOutcome } from '@claudemesh/protocol'
import type { Receipt } from './rows.ts'

/** What an outcome tells the sender. */
export const receiptOf = {
  stored: { state: 'delivered', reason: null },
  duplicate: { state: 'delivered', reason: null },
  undecryptable: { state: 'undeliverable', reason: 'undecryptable' },
  rejected: { state: 'undeliverable', reason: 'rejected' },
} as const satisfies Record<DeliveryOutcome, Pick<Receipt, 'state' | 'reason'>>
