/**
 * Who may append to each shared space, and how far its log is (07 §4): a part of what a store promises.
 *
 * 1. A lease has one holder. Its epoch grows with every grant and is never given twice.
 * 2. An append (`Store.appendToSpace`) is stored with the move of the head, in one transaction, and only under the lease that was granted last: a
 *    member that was replaced while it slept stores nothing, whatever its clock says.
 * 3. Clocks decide when a lease may be granted to somebody else, and nothing more.
 */
import type { MemberKey } from './rows.ts'

export interface SpaceKey {
  readonly meshId: string
  readonly space: string
}

/** The last decision of a log: its number and its event id; 0 and null where there is none. */
export interface SpaceEnd {
  readonly seq: number
  readonly eventId: string | null
}

export interface SpaceLease {
  /** Member id; null: nobody holds it. */
  readonly holder: string | null
  /** 0: it was never granted. */
  readonly epoch: number
  readonly expiresAt: number
  readonly head: SpaceEnd
}

/** A lease of nobody, over a log in which nothing was decided. */
export const freeLease: SpaceLease = { holder: null, epoch: 0, expiresAt: 0, head: { seq: 0, eventId: null } }

export interface LeaseRequest {
  readonly space: string
  /** Of the caller's own log. */
  readonly head: SpaceEnd
  readonly termMs: number
  readonly now: number
}

/** What an append relies on, and what it leaves. */
export interface SpaceAppend {
  readonly space: string
  readonly epoch: number
  /** The number of the last decision before it. */
  readonly after: number
  readonly head: SpaceEnd
}

export interface Spaces {
  /** The last lease, whatever became of it; `freeLease` when there was none. */
  find(key: SpaceKey): Promise<SpaceLease>

  /**
   * Grants the lease when it is free, past its term, or the member's own. The head is the further one of the two from then on.
   *
   * @throws MeshError `member_revoked` or `unauthenticated` when the member is gone
   */
  acquire(member: MemberKey, request: LeaseRequest): Promise<{ readonly granted: boolean; readonly lease: SpaceLease }>

  /** Begins the term of a lease anew. @returns null when it is not the last one any more, or was given up */
  renew(
    member: MemberKey,
    o: { readonly space: string; readonly epoch: number; readonly termMs: number; readonly now: number },
  ): Promise<SpaceLease | null>

  /** Gives a lease up, unless another one was granted meanwhile. */
  release(member: MemberKey, o: { readonly space: string; readonly epoch: number }): Promise<void>
}
