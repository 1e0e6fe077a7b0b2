/**
 * Who has claimed what, of one kind of queue (messages or receipts).
 *
 * It is kept in memory. The database belongs to one process (its lock says so), a claim belongs to a connection of that
 * process, and both end together: after a crash there is no connection that could still hold one, so writing claims to
 * the disk would cost an fsync per delivery to remember what is certainly void. An engine with several processes keeps
 * its leases in the rows.
 *
 * 1. A delivery is leased to at most one connection at a time.
 * 2. Ids are claimed in ascending order. Everything up to a member's frontier is leased or gone, so that a claim reads
 *    only rows that it can take; giving a lease back moves the frontier down to it.
 * 3. Memory is bounded by the windows of the live connections: a member without a lease has no entry.
 */
import type { MemberKey } from '../rows.ts'

interface Lease {
  readonly connectionId: string
  /** Monotonic milliseconds. */
  readonly until: number
}

interface Book {
  /** Delivery id to lease, in order of their making. */
  readonly leases: Map<number, Lease>
  frontier: number
}

export class Leases {
  readonly #now: () => number
  readonly #books = new Map<string, Book>()

  /** @param now monotonic milliseconds */
  constructor(now: () => number) {
    this.#now = now
  }

  /** Where a claim for this member begins: the first id that may be free comes after it. */
  frontier(member: MemberKey): number {
    const book = this.#books.get(bookKey(member))
    if (book === undefined) return 0
    this.#endOverdue(book)
    return book.frontier
  }

  isLeased(member: MemberKey, deliveryId: number): boolean {
    return this.#books.get(bookKey(member))?.leases.has(deliveryId) === true
  }

  /** Leases free ids, in ascending order, to a connection. */
  take(
    member: MemberKey,
    lease: { readonly deliveryIds: readonly number[]; readonly connectionId: string; readonly leaseMs: number },
  ): void {
    const last = lease.deliveryIds.at(-1)
    if (last === undefined) return
    const book = this.#book(member)
    const until = this.#now() + lease.leaseMs
    for (const deliveryId of lease.deliveryIds) book.leases.set(deliveryId, { connectionId: lease.connectionId, until })
    book.frontier = Math.max(book.frontier, last)
  }

  /** The delivery is gone from its queue: nothing is left to be leased. */
  end(member: MemberKey, deliveryId: number): void {
    const key = bookKey(member)
    const book = this.#books.get(key)
    if (book?.leases.delete(deliveryId) === true && book.leases.size === 0) this.#books.delete(key)
  }

  /** Gives back everything that a connection of the member holds. */
  release(member: MemberKey, connectionId: string): void {
    const key = bookKey(member)
    const book = this.#books.get(key)
    if (book === undefined) return
    for (const [deliveryId, lease] of book.leases) {
      if (lease.connectionId === connectionId) giveBack(book, deliveryId)
    }
    if (book.leases.size === 0) this.#books.delete(key)
  }

  #book(member: MemberKey): Book {
    const key = bookKey(member)
    const known = this.#books.get(key)
    if (known !== undefined) return known
    const book: Book = { leases: new Map(), frontier: 0 }
    this.#books.set(key, book)
    return book
  }

  #endOverdue(book: Book): void {
    const now = this.#now()
    for (const [deliveryId, lease] of book.leases) {
      if (lease.until <= now) giveBack(book, deliveryId)
    }
  }
}

function giveBack(book: Book, deliveryId: number): void {
  book.leases.delete(deliveryId)
  book.frontier = Math.min(book.frontier, deliveryId - 1)
}

function bookKey(member: MemberKey): string {
  return `${member.meshId}/${member.memberId}`
}
