/**
 * Calls that wait for work, in the memory of this process. The table is the truth: being woken means only that looking
 * again may be worth it, and whoever is not woken looks again by itself every few seconds.
 *
 * 1. Of those who wait at one queue they are woken who have waited longest, one for each message that came.
 * 2. Who begins to wait before it looks misses nothing that comes while it looks.
 * 3. A member has a bounded number of calls that wait, so that its connection has room for others.
 * 4. A wake is not lost to somebody who has no use for it: `pass` hands it on to those who have waited since before it.
 */
import { queueWaitsPerMemberMax } from '../limits.ts'
import type { QueueKey } from '../store/queues.ts'
import type { MemberKey } from '../store/rows.ts'

/** Why somebody was woken. */
export interface Wake {
  /** Whoever has waited since before it came has a lower place. */
  readonly before: number
}

/** Somebody waits, from the moment it is made until it is cancelled or `until` resolves. */
export interface Wait {
  /** Resolves when it is woken, or was before; with null after `ms` or at the signal. */
  until(end: { readonly ms: number; readonly signal: AbortSignal }): Promise<Wake | null>
  cancel(): void
}

interface Place {
  readonly member: string
  readonly number: number
  readonly wake: (wake: Wake) => void
}

export class QueueWaits {
  readonly #places = new Map<string, Set<Place>>()
  /** How many calls of a member wait. */
  readonly #members = new Map<string, number>()
  #lastNumber = 0

  /** How many wait. */
  get size(): number {
    let size = 0
    for (const places of this.#places.values()) size += places.size
    return size
  }

  /** @returns null when as many calls of the member wait as may */
  begin(key: QueueKey, { meshId, memberId }: MemberKey): Wait | null {
    const member = `${meshId}/${memberId}`
    const others = this.#members.get(member) ?? 0
    if (others >= queueWaitsPerMemberMax) return null
    this.#members.set(member, others + 1)
    let end: (wake: Wake | null) => void = () => undefined
    const woken = new Promise<Wake | null>((resolve) => {
      end = (wake) => {
        this.#remove(key, place)
        resolve(wake)
      }
    })
    this.#lastNumber += 1
    const place: Place = { member, number: this.#lastNumber, wake: end }
    const name = nameOf(key)
    this.#places.set(name, (this.#places.get(name) ?? new Set()).add(place))
    return {
      until({ ms, signal }) {
        const giveUp = () => end(null)
        const timer = setTimeout(giveUp, ms)
        signal.addEventListener('abort', giveUp)
        if (signal.aborted) giveUp()
        return woken.finally(() => {
          clearTimeout(timer)
          signal.removeEventListener('abort', giveUp)
        })
      },
      cancel: () => end(null),
    }
  }

  /** So many messages of a queue can be taken now, or will be after a delay. */
  wake(key: QueueKey, messages: number): void {
    this.#wake(nameOf(key), messages, { before: this.#lastNumber + 1 })
  }

  /** Whoever was woken has no use for it: somebody else may. */
  pass(key: QueueKey, wake: Wake): void {
    this.#wake(nameOf(key), 1, wake)
  }

  /** Everybody of a mesh looks again. */
  wakeMesh(meshId: string): void {
    for (const [name, places] of this.#places) {
      if (name.startsWith(`${meshId}/`)) this.#wake(name, places.size, { before: this.#lastNumber + 1 })
    }
  }

  #wake(name: string, count: number, wake: Wake): void {
    let left = count
    for (const place of this.#places.get(name) ?? []) {
      if (left === 0 || place.number >= wake.before) return
      left -= 1
      place.wake(wake)
    }
  }

  #remove(key: QueueKey, place: Place): void {
    const places = this.#places.get(nameOf(key))
    if (places?.delete(place) !== true) return
    if (places.size === 0) this.#places.delete(nameOf(key))
    const others = (this.#members.get(place.member) ?? 0) - 1
    if (others > 0) this.#members.set(place.member, others)
    else this.#members.delete(place.member)
  }
}

function nameOf({ meshId, queue }: QueueKey): string {
  return `${meshId}/${queue}`
}
