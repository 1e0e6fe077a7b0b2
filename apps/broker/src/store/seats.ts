/**
 * Who is connected, and to which node: a part of what a store promises. A seat is one connection that was let in.
 *
 * 1. The policy of a mesh for a member with several connections is decided here, in one step, over all nodes.
 * 2. A member is there (`Member.online`) from its first open seat until it has been without one for the grace time.
 *    Whoever sees it arrive, or finds the grace over, is told so once.
 * 3. What a node holds is freed when it is given up for dead: by itself nothing of it comes back to life.
 */
import type { CloseName } from '@claudemesh/protocol'
import type { ConcurrencyPolicy, MemberKey } from './rows.ts'

export interface SeatKey extends MemberKey {
  readonly connectionId: string
}

export interface SeatRequest extends SeatKey {
  readonly nodeId: string
  /** Of the process at the other end. One that comes again before its old connection is known to be gone replaces it. */
  readonly instanceId: string
  readonly policy: ConcurrencyPolicy
  readonly now: number
}

/** How a connection that has lost its seat ends; `gone`: without a word, there is nobody left to hear one. */
export type SeatEnding = CloseName | 'gone'

export interface EndedSeat extends SeatKey {
  readonly ending: SeatEnding
}

export type SeatOutcome =
  | { readonly kind: 'seated'; readonly ended: readonly EndedSeat[] }
  /** An older connection has precedence. */
  | { readonly kind: 'refused' }
  /** The node was given up for dead, and may take nobody in under its name. */
  | { readonly kind: 'node_ended' }

export interface Seats {
  /**
   * A node begins, under a name that no node has had.
   *
   * @returns whether no other one has been alive for that time
   */
  beginNode(node: { readonly nodeId: string; readonly deadAfterMs: number }): Promise<{ readonly alone: boolean }>
  /** A node lives. @returns false when it was given up for dead */
  beat(nodeId: string): Promise<boolean>
  /** A node stops; seats that it still has are freed by `freeDead`. */
  endNode(nodeId: string): Promise<void>

  take(request: SeatRequest): Promise<SeatOutcome>
  /** The connection is open. @returns whether its member was not there before */
  open(seat: SeatKey, now: number): Promise<boolean>
  /** The connection is over. Repeating it changes nothing. */
  leave(seat: SeatKey, now: number): Promise<void>

  /** Connections of a node that have lost their seats and that it still has. */
  listEnded(nodeId: string): Promise<readonly EndedSeat[]>
  /** Members with a seat at a node for whom something waits that nobody has claimed. */
  listWaiting(nodeId: string, now: number): Promise<readonly MemberKey[]>
  /** Those of the members that have a seat anywhere. */
  listSeated(members: readonly MemberKey[]): Promise<readonly MemberKey[]>

  /**
   * Gives up nodes that have not been heard of for so long, and frees the next seats of nodes that are over, with what
   * their connections had claimed. Ephemeral members have their lease from then on.
   *
   * @returns the members that had them
   */
  freeDead(options: {
    readonly deadAfterMs: number
    readonly now: number
    readonly rowsMax: number
  }): Promise<readonly MemberKey[]>
  /** Members that have been without an open seat since `at`, which is longer than the grace: they are gone. */
  endAbsences(options: {
    readonly now: number
    readonly graceMs: number
    readonly rowsMax: number
  }): Promise<readonly (MemberKey & { readonly at: number })[]>
}
