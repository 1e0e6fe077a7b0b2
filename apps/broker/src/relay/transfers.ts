import { MeshError } from '@claudemesh/protocol'
import type { MemberKey } from '../store/rows.ts'
import type { Direction } from './tickets.ts'

export interface TransferLimits {
  readonly ofMember: number
  readonly ofBroker: number
}

/** How many transfers there are at once, of whom: each holds memory, a file and a connection. */
export class Transfers {
  readonly #limits: Readonly<Record<Direction, TransferLimits>>
  readonly #counts = new Map<string, number>()

  constructor(limits: Readonly<Record<Direction, TransferLimits>>) {
    this.#limits = limits
  }

  count(direction: Direction): number {
    return this.#counts.get(direction) ?? 0
  }

  /** @returns what ends the transfer @throws MeshError `too_many_requests` */
  begin(member: MemberKey, direction: Direction): () => void {
    const ofMember = `${direction} ${member.meshId} ${member.memberId}`
    const limits = this.#limits[direction]
    const own = this.#counts.get(ofMember) ?? 0
    if (own >= limits.ofMember || this.count(direction) >= limits.ofBroker) {
      throw new MeshError('too_many_requests', { detail: `too many ${direction}s of blobs at once` })
    }
    this.#add(ofMember, 1)
    this.#add(direction, 1)
    return () => {
      this.#add(ofMember, -1)
      this.#add(direction, -1)
    }
  }

  #add(key: string, change: 1 | -1): void {
    const count = (this.#counts.get(key) ?? 0) + change
    if (count === 0) this.#counts.delete(key)
    else this.#counts.set(key, count)
  }
}
