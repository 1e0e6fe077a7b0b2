/**
 * From the names in a request to a destination and the ids of those mentioned.
 *
 * 1. Nothing is accepted for a name that does not lead to exactly one place: a typo is a 404 with names like it, not a
 *    message that waits for ever.
 * 2. A name that is not known is looked up once more after the directory was read again, if the broker can be reached.
 * 3. An address that is its own reference, a member id or a topic, is taken at its word while the directory has never
 *    been read: there is nothing yet to check it against. So is a queue at any time: whoever sends work may be there
 *    before those who do it.
 */
import { type Destination, MeshError, parseAddress } from '@claudemesh/protocol'

/** The part of the directory that sending needs. */
export interface MemberLookup {
  findById(memberId: string): MemberFacts | null
  findByName(name: string): readonly MemberFacts[]
  nearNames(name: string): readonly string[]
  findTopic(name: string): { readonly name: string } | null
  nearTopics(name: string): readonly string[]
  /** When members or topics were last read from the broker; null: never. */
  syncedAt(): number | null
  topicsSyncedAt(): number | null
}

export interface MemberFacts {
  readonly memberId: string
  readonly name: string
  readonly status: 'active' | 'revoked'
}

/** What a request names, with the fields it names them in. */
export interface NamedRecipients {
  readonly to: string
  readonly toField: string
  readonly mentions: readonly string[]
}

export interface ResolvedNames {
  readonly destination: Destination
  /** Member ids, each once, in the order of the request. */
  readonly mentions: readonly string[]
}

/** `fault` is about the mesh as it is now: the same request may succeed at another time. */
export type Resolution =
  | { readonly ok: true; readonly names: ResolvedNames }
  | { readonly ok: false; readonly fault: MeshError }

export class Resolver {
  readonly #members: MemberLookup
  readonly #refreshDirectory: () => Promise<void>
  #refreshing: Promise<void> | null = null

  constructor(o: { readonly members: MemberLookup; readonly refreshDirectory: () => Promise<void> }) {
    this.#members = o.members
    this.#refreshDirectory = o.refreshDirectory
  }

  /**
   * At once where the directory knows the names: nearly always, so that callers need not wait for a promise.
   *
   * @throws MeshError `invalid_destination` when the request can never be resolved
   */
  resolve(named: NamedRecipients): Resolution | Promise<Resolution> {
    const first = this.#lookUp(named)
    return first.ok || !isUnknown(first.fault) ? first : this.#refresh().then(() => this.#lookUp(named))
  }

  /** Requests that meet an unknown name at the same time share one question to the broker. */
  async #refresh(): Promise<void> {
    this.#refreshing ??= this.#refreshDirectory().finally(() => {
      this.#refreshing = null
    })
    try {
      await this.#refreshing
    } catch {
      // The broker cannot be asked now. What the directory knew stands, and `directory_synced_at` says how old it is.
    }
  }

  #lookUp(named: NamedRecipients): Resolution {
    const to = this.#lookUpDestination(named.to, named.toField)
    if (to instanceof MeshError) return { ok: false, fault: to }
    const mentions = new Set<string>()
    for (const [index, mention] of named.mentions.entries()) {
      const memberId = this.#lookUpMention(mention, `mentions/${index}`)
      if (memberId instanceof MeshError) return { ok: false, fault: memberId }
      mentions.add(memberId)
    }
    return { ok: true, names: { destination: to, mentions: [...mentions] } }
  }

  #lookUpDestination(to: string, field: string): Destination | MeshError {
    const address = parseAddress(to)
    if (address === null) throw malformed(to, field)
    switch (address.kind) {
      case 'topic':
        return this.#lookUpTopic(address.name, field)
      case 'queue':
        return { kind: 'queue', ref: address.name }
      case 'member_id':
      case 'member_name': {
        const ref = this.#lookUpMember(address, field)
        return ref instanceof MeshError ? ref : { kind: 'dm', ref }
      }
      default:
        return address satisfies never
    }
  }

  #lookUpMention(mention: string, field: string): string | MeshError {
    const address = parseAddress(mention)
    if (address?.kind === 'member_id' || address?.kind === 'member_name') return this.#lookUpMember(address, field)
    throw malformed(mention, field)
  }

  #lookUpTopic(name: string, field: string): Destination | MeshError {
    if (this.#members.findTopic(name) !== null) return { kind: 'topic', ref: name }
    const syncedAt = this.#members.topicsSyncedAt()
    if (syncedAt === null) return { kind: 'topic', ref: name }
    return new MeshError('topic_unknown', {
      detail: `there is no topic #${name}`,
      data: { field, near: this.#members.nearTopics(name), directory_synced_at: syncedAt },
    })
  }

  #lookUpMember(
    address: { kind: 'member_id'; memberId: string } | { kind: 'member_name'; name: string },
    field: string,
  ): string | MeshError {
    if (address.kind === 'member_name') return this.#lookUpName(address.name, field)
    const { memberId } = address
    const member = this.#members.findById(memberId)
    if (member !== null) return member.status === 'active' ? memberId : revoked(member, field)
    const syncedAt = this.#members.syncedAt()
    if (syncedAt === null) return memberId
    return new MeshError('recipient_unknown', {
      detail: `no member has the id ${memberId}`,
      data: { field, near: [], directory_synced_at: syncedAt },
    })
  }

  #lookUpName(name: string, field: string): string | MeshError {
    const members = this.#members.findByName(name)
    const [active, ...others] = members.filter((member) => member.status === 'active')
    if (active !== undefined && others.length === 0) return active.memberId
    if (active !== undefined) {
      const candidates = [active, ...others].map((member) => member.memberId)
      return new MeshError('recipient_ambiguous', {
        detail: `${candidates.length} members are called ${name}`,
        data: { field, candidates },
      })
    }
    const [former] = members
    if (former !== undefined) return revoked(former, field)
    return new MeshError('recipient_unknown', {
      detail: `no member is called ${name}`,
      data: { field, near: this.#members.nearNames(name), directory_synced_at: this.#members.syncedAt() },
    })
  }
}

function isUnknown(fault: MeshError): boolean {
  return fault.code === 'recipient_unknown' || fault.code === 'topic_unknown'
}

function malformed(text: string, field: string): MeshError {
  return new MeshError('invalid_destination', { detail: `${JSON.stringify(text)} is no address`, data: { field } })
}

function revoked(member: MemberFacts, field: string): MeshError {
  return new MeshError('member_revoked', {
    detail: `${member.name} is no longer a member of this mesh`,
    hint: 'See who is there with `claudemesh peers`.',
    data: { field, member_id: member.memberId },
  })
}
