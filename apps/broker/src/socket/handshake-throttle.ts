/**
 * How many handshakes one network address may begin.
 *
 * Each takes a unit, and a hello that is let in gives it back: members come back as often as they like, thousands of
 * them behind one address. What is not given back grows again with time, so that whoever tries keys, or opens sockets
 * and says nothing, is soon held to that pace.
 *
 * What is verified of a member for the first time takes units as well, and these are not given back: whoever makes a mesh
 * of its own is let in there, with as many chains of years as it likes. It was known before, it takes nothing.
 *
 * An IPv6 address counts with its /64, which is what one host is given. Memory: one entry per address that owes units,
 * at most `addressesMax`; beyond it the address that was seen first is forgotten.
 */
import { isIPv6 } from 'node:net'
import { certificatesPerHandshake, handshakeAddressesMax, handshakeBurst, handshakesPerSecond } from '../limits.ts'

interface Budget {
  units: number
  at: number
}

export class HandshakeThrottle {
  readonly #now: () => number
  readonly #budgets = new Map<string, Budget>()

  /** @param now monotonic milliseconds */
  constructor(now: () => number) {
    this.#now = now
  }

  /** @returns 0 when the handshake may go on, else after how many milliseconds the next one may */
  take(address: string): number {
    const key = networkOf(address)
    const budget = this.#renew(key)
    if (budget.units < 1) return Math.ceil(((1 - budget.units) * 1_000) / handshakesPerSecond)
    budget.units -= 1
    this.#keep(key, budget)
    return 0
  }

  /** The hello of a handshake was let in. */
  give(address: string): void {
    const key = networkOf(address)
    const budget = this.#renew(key)
    budget.units += 1
    this.#keep(key, budget)
  }

  /** Certificates were verified in a handshake. @returns whether it may go on */
  spend(address: string, certificates: number): boolean {
    const key = networkOf(address)
    const budget = this.#renew(key)
    budget.units -= certificates / certificatesPerHandshake
    this.#keep(key, budget)
    return budget.units >= 0
  }

  /** Addresses that owe something. */
  get size(): number {
    return this.#budgets.size
  }

  #renew(key: string): Budget {
    const at = this.#now()
    const known = this.#budgets.get(key)
    if (known === undefined) return { units: handshakeBurst, at }
    const grown = ((at - known.at) * handshakesPerSecond) / 1_000
    return { units: Math.min(handshakeBurst, known.units + grown), at }
  }

  #keep(key: string, budget: Budget): void {
    this.#budgets.delete(key)
    if (budget.units < handshakeBurst) this.#budgets.set(key, budget)
    if (this.#budgets.size <= handshakeAddressesMax) return
    for (const oldest of this.#budgets.keys()) {
      this.#budgets.delete(oldest)
      break
    }
  }
}

function networkOf(address: string): string {
  const plain = address.startsWith('::ffff:') ? address.slice('::ffff:'.length) : address
  if (!isIPv6(plain)) return plain
  const [head = '', tail = ''] = plain.split('::')
  const left = head.split(':').filter((group) => group !== '')
  const right = tail.split(':').filter((group) => group !== '')
  const zeros = plain.includes('::') ? Math.max(0, 8 - left.length - right.length) : 0
  return [...left, ...Array<string>(zeros).fill('0'), ...right].slice(0, 4).join(':')
}
