/**
 * The life of a message in a work queue.
 *
 *     accept --> ready --take--> leased --ack--> done
 *                 ^ |              | |
 *                 | |<----nack-----+ |
 *                 | +---------+      +--its last delivery came back--> dead --drop--> dropped
 *                 |           +----------------------------------------^ |
 *                 +-----------------------requeue-------------------------+
 *
 * | state   | what holds in it                                                                                  |
 * |---------|---------------------------------------------------------------------------------------------------|
 * | ready   | whoever may open it can take it from `visible_at` on; with a lease id: that lease was returned     |
 * | leased  | a consumer works on it until `visible_at`; from then on others can take it, and until one does the |
 * |         | consumer can still settle it                                                                      |
 * | done    | a consumer has acknowledged it; its content is gone                                               |
 * | dead    | it came back from its last delivery; it waits to be requeued or dropped                           |
 * | dropped | somebody gave it up; its content is gone                                                          |
 *
 * A message in any state is gone when message retention takes it. `last_try` says that no delivery may follow the one
 * that is under way or has just come back. Every statement that changes the state names the one it comes from.
 */
import type { Settlement, SettlementOutcome } from '@claudemesh/protocol'

export type QueuedState = 'ready' | 'leased' | 'done' | 'dead' | 'dropped'

/** What becomes of a message that a consumer settles under the lease that it had last. */
type Verdict = 'finish' | 'return' | 'extend' | Exclude<SettlementOutcome['outcome'], 'unknown' | 'extended'>

/**
 * What is done, or what is answered because it was done before. Any other lease than the last one is lost.
 *
 * | state  | ack              | nack                | extend             |
 * |--------|------------------|---------------------|--------------------|
 * | leased | finish           | return              | extend             |
 * | ready  | it was returned  | by an earlier nack  | it was returned    |
 * | done   | by an earlier ack| it was acknowledged | it was acknowledged|
 * | dead   | too late         | by it, or too late  | too late           |
 */
const verdicts: Readonly<Record<Settlement['action'], Readonly<Record<QueuedState, Verdict>>>> = {
  ack: { leased: 'finish', ready: 'lease_lost', done: 'done', dead: 'dead', dropped: 'dead' },
  nack: { leased: 'return', ready: 'returned', done: 'lease_lost', dead: 'dead', dropped: 'dead' },
  extend: { leased: 'extend', ready: 'lease_lost', done: 'lease_lost', dead: 'dead', dropped: 'dead' },
}

/** A message as far as settling it is concerned. */
export interface Settled {
  readonly state: QueuedState
  readonly leaseId: string | null
  readonly leasedBy: string | null
}

/** What becomes of a message when that consumer settles it. */
export function judgeSettlement(
  found: Settled,
  by: { readonly memberId: string; readonly leaseId: string; readonly action: Settlement['action'] },
): Verdict {
  if (found.leaseId !== by.leaseId || found.leasedBy !== by.memberId) return 'lease_lost'
  return verdicts[by.action][found.state]
}
