/**
 * Members of a mesh that send to each other and to a topic, each careful to have every message acknowledged, until they are
 * told to stop; and what must then be true of their inboxes.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { expect } from 'vitest'
import type { TestMesh } from './mesh.ts'
import { type KeyedSend, sendUntilAcknowledged } from './traffic.ts'

/** Between two messages of a sender: there is always something under way, and what it runs against gets a processor too. */
const paceMs = 10

export class MemberTraffic {
  acknowledged = 0
  /** Acknowledged sends that were made a second time. */
  repeats = 0
  readonly #mesh: TestMesh
  readonly #names: readonly string[]
  /** What each inbox must hold. */
  readonly #expected: ReadonlyMap<string, string[]>
  readonly #senders: readonly Promise<void>[]
  #running = true

  /** Subscribes every member to the topic, and starts. */
  constructor(mesh: TestMesh, options: { readonly sendersPerMember: number }) {
    for (const member of mesh.members) member.cli(['topic', 'subscribe', 'all'])
    this.#mesh = mesh
    this.#names = mesh.members.map((member) => member.name)
    this.#expected = new Map(this.#names.map((name) => [name, []]))
    const places = Array.from({ length: options.sendersPerMember }, (_, place) => place)
    this.#senders = this.#names.flatMap((name) => places.map((place) => this.#sendOn(name, place)))
  }

  /** Ends it when everything that was begun is acknowledged. */
  async stop(): Promise<void> {
    this.#running = false
    await Promise.all(this.#senders)
  }

  /**
   * Each acknowledged message is with each of its recipients, once, and what a sender sent to one destination is in the
   * order in which it was accepted.
   *
   * @param what is printed with what fails: the seed, and what happened
   * @returns how many messages the inboxes hold
   */
  async expectDelivered(what: string): Promise<number> {
    for (const member of this.#mesh.members) await member.drained()
    for (const [name, keys] of this.#expected) {
      const messages = await this.#mesh.member(name).inboxOf(keys.length)
      const arrived = messages.map((message) => message.client_message_id)
      expect(arrived.toSorted(), `inbox of ${name}, ${what}`).toEqual(keys.toSorted())
      expectOrder(arrived, `inbox of ${name}, ${what}`)
    }
    return [...this.#expected.values()].flat().length
  }

  async #sendOn(name: string, place: number): Promise<void> {
    const others = this.#names.filter((other) => other !== name)
    for (let n = 0; this.#running; n += 1) {
      const key = `${name}/${place}/${n}`
      const recipients = isPost(n) ? others : others.slice(n % others.length).slice(0, 1)
      const to = isPost(n) ? '#all' : `@${recipients[0]}`
      const body: KeyedSend = { to, message: `message ${key}`, client_message_id: key }
      const first = await sendUntilAcknowledged(this.#mesh.member(name), body)
      if (n % 7 === 0) {
        this.repeats += 1
        expect(await sendUntilAcknowledged(this.#mesh.member(name), body)).toBe(first)
      }
      this.acknowledged += 1
      for (const recipient of recipients) this.#expected.get(recipient)?.push(key)
      await pause(paceMs)
    }
  }
}

/** Of each sender, its dms and its posts: the two are different destinations, one of which may have to wait. */
function expectOrder(arrived: readonly string[], what: string): void {
  const numbers = new Map<string, number[]>()
  for (const key of arrived) {
    const [name, place, n] = key.split('/')
    const stream = `${name}/${place} to ${isPost(Number(n)) ? 'the topic' : 'the member'}`
    numbers.set(stream, [...(numbers.get(stream) ?? []), Number(n)])
  }
  for (const [stream, list] of numbers) {
    expect(list, `order of ${stream}, ${what}`).toEqual(list.toSorted((left, right) => left - right))
  }
}

/** Every fifth message of a sender goes to the topic. */
function isPost(n: number): boolean {
  return n % 5 === 4
}
