/**
 * Keeps the members and topics of this host in step with the broker, and the broker in step with what this host wants.
 *
 * 1. A wish (a subscription, the profile) is stored before the broker is asked. It is asked again at every connection
 *    until its answer is the wish.
 * 2. The revocation list is read before the members, who are judged by it.
 * 3. Lists are read completely or not at all: a list that broke off removes nobody.
 */
import {
  type BrokerEvent,
  type MemberRecord,
  MeshError,
  type Operation,
  type RequestParams,
  type RequestResult,
  type TopicRecord,
} from '@claudemesh/protocol'
import { directoryPageMax, directoryPagesMax, unknownMemberPauseMs, unknownMembersMax } from '../limits.ts'
import type { Log } from '../log.ts'
import type { DirectoryMember, Members } from '../members/members.ts'
import { coalesce } from './coalesce.ts'

/** Somebody came or went. */
export interface PeerChange {
  readonly type: 'peer_join' | 'peer_leave'
  readonly memberId: string
  readonly name: string
}

export interface DirectoryOptions {
  readonly members: Members
  readonly request: <O extends Operation>(op: O, params: RequestParams<O>) => Promise<RequestResult<O>>
  /** Box keys of these members were not known before. */
  readonly onKeysLearnt: (memberIds: readonly string[]) => void
  readonly monotonicMs: () => number
  readonly log: Log
}

export class Directory {
  readonly #members: Members
  readonly #request: DirectoryOptions['request']
  readonly #onKeysLearnt: DirectoryOptions['onKeysLearnt']
  readonly #log: Log
  readonly #monotonicMs: () => number
  /** Members that nobody here knows, to when they were last looked for. */
  readonly #lookedFor = new Map<string, number>()
  /** The last look for somebody unknown; it may be over. */
  #look: Promise<void> = Promise.resolve()
  /** The profile as the broker of the present connection was told. */
  #toldProfile: string | null = null

  /**
   * Reads the members and topics anew.
   *
   * @throws MeshError when the broker does not answer
   */
  readonly refresh: () => Promise<void>

  /**
   * Brings this host's revocation list up to the broker's, if that can be believed; or the broker's up to this host's.
   *
   * @throws MeshError when the broker does not answer
   */
  readonly refreshRevocations: () => Promise<void>

  /**
   * Asks the broker for every subscription that is not as wanted, and tells it the profile.
   *
   * @throws MeshError when the broker does not answer
   */
  readonly reconcile: () => Promise<void>

  constructor(options: DirectoryOptions) {
    this.#members = options.members
    this.#request = options.request
    this.#onKeysLearnt = options.onKeysLearnt
    this.#log = options.log
    this.#monotonicMs = options.monotonicMs
    this.refresh = coalesce(() => this.#refresh())
    this.refreshRevocations = coalesce(() => this.#refreshRevocations())
    this.reconcile = coalesce(() => this.#reconcile())
  }

  /**
   * To be called first when the link opens: the wanted subscriptions are asked for in the same turn, so that they are
   * in force before anything that is sent after them. Never rejects; what fails is done at the next connection.
   */
  async linkOpened(): Promise<void> {
    await this.#inBackground(this.reconcile())
    await this.#inBackground(this.refresh())
    // The broker may have forgotten what it once confirmed.
    if (this.#members.unreconciled().length > 0) await this.#inBackground(this.reconcile())
  }

  linkClosed(): void {
    this.#toldProfile = null
    this.#members.forgetPresence()
  }

  /** Takes an `event` frame. @returns who came and who went */
  applyEvents(items: readonly BrokerEvent[]): PeerChange[] {
    return items.flatMap((item) => {
      switch (item.kind) {
        case 'presence':
          return this.#applyPresence(item)
        case 'member':
          return this.#applyMember(item.member)
        case 'topic':
          this.#members.noteTopic(item.topic, item.subscribers ?? null)
          return []
        case 'revocations':
          void this.#inBackground(this.refreshRevocations())
          return []
        default:
          return item satisfies never
      }
    })
  }

  /**
   * Members whom nobody here knows are behind something: reads the lists anew. Who was looked for a moment ago is not
   * looked for again: a member whose chain proves nothing stays unknown, however much it sends.
   *
   * @returns when the lists were read, or at once when nobody is to be looked for. Never rejects
   */
  async lookForUnknown(memberIds: readonly string[]): Promise<void> {
    const now = this.#monotonicMs()
    const isDue = (id: string) => now - (this.#lookedFor.get(id) ?? Number.NEGATIVE_INFINITY) >= unknownMemberPauseMs
    const due = memberIds.filter(isDue)
    if (due.length > 0) {
      if (this.#lookedFor.size + due.length > unknownMembersMax) this.#lookedFor.clear()
      for (const id of due) this.#lookedFor.set(id, now)
      this.#look = this.#inBackground(this.refresh())
    }
    // Whoever is not due may be looked for at this moment.
    await this.#look
  }

  async #refreshRevocations(): Promise<void> {
    const { list, chain } = await this.#request('revocations.get', {})
    const own = this.#members.revocations.newest
    if (own !== null && own.list.number > (list?.number ?? 0)) {
      // The broker lost it, or holds it back; who hands a list in does not matter, who signed it does.
      await this.#request('revocations.put', { list: own.list, chain: [...own.chain] })
      this.#log.warn({ number: own.list.number, found: list?.number ?? null }, 'revocations_handed_in')
      return
    }
    if (list === null) return
    const outcome = this.#members.revocations.apply({ list, chain })
    if (outcome.kind === 'known') return
    const { kind, ...detail } = outcome
    this.#log[kind === 'ignored' ? 'warn' : 'info']({ number: list.number, ...detail }, `revocations_${kind}`)
  }

  async #refresh(): Promise<void> {
    await this.#inBackground(this.refreshRevocations())
    const ignoredBefore = countAll(this.#members.ignored())
    const members: string[] = []
    await this.#eachPage(async (after) => {
      const page = await this.#request('members.list', { limit: directoryPageMax, ...after })
      // Chains of years take time to verify: between two pages everything else has its turn.
      this.#apply(page.members)
      members.push(...page.members.map((member) => member.member_id))
      return page.next
    })
    this.#members.keepOnly(members)
    const topics: TopicRecord[] = []
    await this.#eachPage(async (after) => {
      const page = await this.#request('topics.list', { limit: directoryPageMax, ...after })
      topics.push(...page.topics)
      return page.next
    })
    this.#members.applyTopics(topics, true)
    const ignored = countAll(this.#members.ignored()) - ignoredBefore
    this.#log.debug({ members: members.length, topics: topics.length, ignored }, 'directory_read')
    if (ignored === 0) return
    this.#log.warn({ count: ignored, reasons: Object.fromEntries(this.#members.ignored()) }, 'members_ignored')
  }

  #apply(records: readonly MemberRecord[]): void {
    const learnt = this.#members.applyDirectory(records)
    if (learnt.length > 0) this.#onKeysLearnt(learnt)
  }

  /** Both lists are ordered by name or id: a cursor that does not grow would be followed for ever. */
  async #eachPage(read: (after: { after?: string }) => Promise<string | null>): Promise<void> {
    let after: string | null = null
    for (let pages = 0; pages < directoryPagesMax; pages += 1) {
      const next: string | null = await read(after === null ? {} : { after })
      if (next === null) return
      if (after !== null && next <= after) break
      after = next
    }
    throw new MeshError('invalid_frame', { detail: 'the pages of a list do not lead to an end' })
  }

  /** The first requests go out in the turn of the call; a refusal of one wish does not keep the others back. */
  async #reconcile(): Promise<void> {
    const wishes = this.#members.unreconciled()
    const failures: unknown[] = []
    for (let first = 0; first === 0 || first < wishes.length; first += subscriptionsAtOnceMax) {
      const asked = wishes.slice(first, first + subscriptionsAtOnceMax).map((wish) => this.#subscribe(wish))
      const outcomes = await Promise.allSettled(first === 0 ? [...asked, this.#tellProfile()] : asked)
      failures.push(...outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason] : [])))
    }
    if (failures.length > 0) throw failures[0]
  }

  async #subscribe(wish: { topic: string; wanted: boolean }): Promise<void> {
    const { topic, wanted } = wish
    const answer = await this.#request(wanted ? 'topics.subscribe' : 'topics.unsubscribe', { topic })
    this.#members.applyTopics([answer.topic], false)
    this.#log.info({ topic }, wanted ? 'subscribed' : 'unsubscribed')
  }

  /** Once per connection and change. */
  async #tellProfile(): Promise<void> {
    const profile = this.#members.storedProfile()
    const text = JSON.stringify(profile)
    if (profile === null || text === this.#toldProfile) return
    const { summary, status, visible } = profile
    await this.#request('profile.set', { summary, activity: status, visible })
    this.#toldProfile = text
  }

  #applyPresence(item: Extract<BrokerEvent, { kind: 'presence' }>): PeerChange[] {
    const { member_id: memberId, online, at } = item
    if (this.#members.findById(memberId) === null) void this.lookForUnknown([memberId])
    return this.#toChange(this.#members.applyPresence({ memberId, online, at }))
  }

  #applyMember(record: MemberRecord): PeerChange[] {
    const wasOnline = this.#members.findById(record.member_id)?.online === true
    this.#apply([record])
    const member = this.#members.findById(record.member_id)
    return this.#toChange(member?.online === wasOnline ? null : member)
  }

  /** Nobody comes or goes to oneself. */
  #toChange(member: DirectoryMember | null): PeerChange[] {
    if (member === null || member.memberId === this.#members.selfId) return []
    const { memberId, name, online } = member
    return [{ type: online ? 'peer_join' : 'peer_leave', memberId, name }]
  }

  async #inBackground(work: Promise<void>): Promise<void> {
    try {
      await work
    } catch (error) {
      // The wish stays stored and the list stays as it was: the next connection or look-up tries again.
      if (!(error instanceof MeshError)) throw error
      this.#log.warn({ err: error }, 'directory_not_in_step')
    }
  }
}

/** Requests that are under way together; the link has room for others beside them. */
const subscriptionsAtOnceMax = 64

function countAll(counts: ReadonlyMap<string, number>): number {
  return [...counts.values()].reduce((sum, count) => sum + count, 0)
}
