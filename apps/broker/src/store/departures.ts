/**
 * How members go and what becomes of what waits for them: a part of what a store promises. What the states mean is in
 * member-states.ts.
 *
 * 1. From the commit on nothing is addressed to a member that is gone and nothing of it is accepted; it is in no set of
 *    recipients, and every set that it was in has a new epoch.
 * 2. What waited for it is dropped in batches of a bounded size, each with a row in the audit log and, in the same
 *    transaction, a receipt for each sender that wants one: `undeliverable`, with the reason. The first batch goes in
 *    the transaction in which the member goes; `drain` does the others, also after a crash.
 */
import type { Certificate, RevocationList } from '@claudemesh/protocol'
import type { MemberKey, Topic } from './rows.ts'

/** A list and the chain of who signed it; empty when the root key did. */
export interface Revocations {
  readonly list: RevocationList
  readonly chain: readonly Certificate[]
}

/** A list that was verified, and found to follow the one in force. */
export interface RevocationChange extends Revocations {
  /** The number of the list that it was judged to follow; null when there was none. */
  readonly follows: number | null
  /** The admin who signed it, as its chain proves; null for the root key. */
  readonly issuer: { readonly memberId: string; readonly signingKey: string } | null
  readonly at: number
  /** Rows that are dropped at once. */
  readonly rowsMax: number
}

/** What else changes when members go. */
export interface Departure {
  /** Topics whose recipients changed, as they are now. */
  readonly topics: readonly Pick<Topic, 'name' | 'subscribers'>[]
  /** Members for whom a receipt waits now. */
  readonly notified: readonly string[]
}

export type RevocationOutcome =
  | { readonly kind: 'stored'; readonly revoked: readonly string[]; readonly departure: Departure }
  /** `stale`: another list came first. `issuer_refused`: its issuer is no active member, or has another key by now. */
  | { readonly kind: 'stale' | 'issuer_refused' }

export interface Departures {
  /** The revocation list in force. */
  findRevocations(meshId: string): Promise<Revocations | null>

  /**
   * Puts a list in force and revokes every member that it revokes by the rule of `findRevocation`, where a member came
   * in when this store first heard of it. Its invites admit nobody from then on. All of it or nothing.
   */
  putRevocations(change: RevocationChange): Promise<RevocationOutcome>

  /**
   * An active member leaves: when it says so, or (`leaseEnded`) if its lease is over at that time.
   *
   * @returns null when it is not active, or its lease is not over
   */
  leave(
    key: MemberKey,
    leaving: { readonly at: number; readonly rowsMax: number; readonly leaseEnded: boolean },
  ): Promise<Departure | null>

  /**
   * Drops the next batch of what waits for members that are gone.
   *
   * @returns how many rows went, and for whom receipts wait now
   */
  drain(options: {
    readonly at: number
    readonly rowsMax: number
  }): Promise<{ readonly rows: number; readonly notified: readonly MemberKey[] }>

  /**
   * Forgets ephemeral members that have no way back: they left, their lease ended longer ago than their mesh remembers
   * ids, no message of theirs is kept and nothing waits for them. Which invites they used stays known, as does what the
   * audit log says of them.
   *
   * @param options.dedupeRetentionDays for meshes that have no value of their own
   * @returns how many
   */
  forgetMembers(options: {
    readonly now: number
    readonly dedupeRetentionDays: number
    readonly rowsMax: number
  }): Promise<number>

  /** Active ephemeral members whose lease is over, those first whose lease ended first. */
  listEndedLeases(options: { readonly now: number; readonly limit: number }): Promise<readonly MemberKey[]>
  /** Begins the leases of these members anew, or of all (`null`); whoever has none is passed over. */
  renewLeases(members: readonly MemberKey[] | null, at: number): Promise<void>
}
