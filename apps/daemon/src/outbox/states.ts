/**
 * The life of an outbox row (02 §5).
 *
 *      accept, requeue
 *             │              accepted
 *             ▼     claim   ┌──────────► done
 *         pending ───────► inflight
 *          │ │ ▲            │ │ refused
 *          │ │ └────────────┘ └────────► dead
 *          │ │  retry, release,           ▲ │
 *          │ │  recover                   │ │
 *          │ └─── expire, unsealable ─────┘ │
 *          │                                │
 *          └── abort ──► aborted ◄── abort ─┘
 *
 * What holds in each state:
 *
 * - pending    The row is on this disk and nobody is transmitting it. `parked` tells whether it waits for
 *              `next_attempt_at` (1) or may be claimed at once (0). `sealed` and `wire_fingerprint` are both null (never
 *              transmitted nor frozen for a backup, or the recipients changed) or both set; once set they are what every
 *              attempt carries.
 * - inflight   `sealed` and `wire_fingerprint` are set: they were frozen before the first byte left. The broker may have
 *              the message or not; only its answer, or asking again, can tell.
 * - done       The broker has it. `broker_message_id`, `history_id`, `recipient_count` and `delivered_at` are set. The
 *              contents go after a day (`payload` becomes empty, `sealed` null), the row after the retention time.
 * - dead       The broker refused it for good, it cannot be sealed, or it grew too old to be sent safely once.
 *              `last_error` says which.
 * - aborted    An operator ended it: `aborted_at` and `aborted_by` are set. When that was a requeue, `superseded_by` names
 *              the row that took its place. Nothing leaves this state but an operator's prune.
 *
 * In every state `id`, `client_message_id`, `request_fingerprint`, the destination and `payload` are as accepted, and a
 * row stays bound to its `client_message_id` until `released_at` is set.
 *
 * Every change of `status` is a move of the table below; `applyMove` throws on any other.
 */
import type { OutboxStatus } from '@claudemesh/protocol'

export const outboxStatuses: readonly OutboxStatus[] = ['pending', 'inflight', 'done', 'dead', 'aborted']

interface MoveDefinition {
  /** The states it may start from; null is "no row yet". */
  readonly from: readonly (OutboxStatus | null)[]
  readonly to: OutboxStatus
  /** The function that performs it. */
  readonly by: string
}

/** Move to what it does, complete. Two moves in one transaction are written at once, as an accept that claims does. */
export const outboxMoves = {
  accept: { from: [null], to: 'pending', by: 'Outbox.accept' },
  requeue: { from: [null], to: 'pending', by: 'Outbox.requeue' },
  claim: { from: ['pending'], to: 'inflight', by: 'Outbox.claim, Outbox.accept' },
  unsealable: { from: ['pending'], to: 'dead', by: 'Outbox.claim' },
  accepted: { from: ['inflight'], to: 'done', by: 'Outbox.settle' },
  retry: { from: ['inflight'], to: 'pending', by: 'Outbox.settle' },
  refused: { from: ['inflight'], to: 'dead', by: 'Outbox.settle' },
  release: { from: ['inflight'], to: 'pending', by: 'Outbox.releaseInflight' },
  recover: { from: ['inflight'], to: 'pending', by: 'Outbox.open' },
  expire: { from: ['pending'], to: 'dead', by: 'Outbox.expire' },
  abort: { from: ['pending', 'dead'], to: 'aborted', by: 'Outbox.requeue, Outbox.drop' },
} as const satisfies Record<string, MoveDefinition>

export type OutboxMove = keyof typeof outboxMoves

const moves: Readonly<Record<OutboxMove, MoveDefinition>> = outboxMoves

/** The moves that lead from one state to another; empty when no row may go that way. */
export function movesBetween(from: OutboxStatus | null, to: OutboxStatus): readonly OutboxMove[] {
  return (Object.keys(moves) as OutboxMove[]).filter((name) => moves[name].to === to && moves[name].from.includes(from))
}

/**
 * The state after a move.
 *
 * @param from null for a row that does not exist yet
 * @throws Error when the move does not start there: a mistake of ours, never a caller's
 */
export function applyMove(name: OutboxMove, from: OutboxStatus | null): OutboxStatus {
  const move = moves[name]
  if (!move.from.includes(from)) {
    throw new Error(`an outbox row cannot ${name} from ${from ?? 'nothing'}`)
  }
  return move.to
}

/** Whether an operator may end a row in this state; what is inflight or done is no longer ours to take back. */
export function isOperable(status: OutboxStatus): boolean {
  return movesBetween(status, 'aborted').length > 0
}
