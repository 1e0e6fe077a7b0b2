/**
 * Who is in the mesh and which topics there are, as far as this host knows and believes (05 §1).
 *
 * 1. A member is listed only when its chain was verified up to the root key here. What cannot be verified is ignored
 *    and counted.
 * 2. A member's keys never go back: a chain of a lower epoch, or of the same epoch with other keys, is ignored.
 * 3. What this host wants of topics is kept apart from what the broker confirmed; a wish survives every outage.
 * 4. Presence is what the broker says now and is kept in memory only: without a connection nobody else is online.
 * 5. A box key that was once proven of a member at an epoch stays known for that epoch, also after a rotation and for a
 *    while after the member has gone: messages sealed with it may still be on their way.
 * 6. Whom the newest revocation list revokes is revoked here, whatever the broker says (revocations.ts).
 *
 * It asks nobody: the directory verb does, and hands over what it got.
 */
import type { Certificate, MemberRecord, Peer, ProfileResponse, Topic, TopicRecord } from '@claudemesh/protocol'
import { closeDatabase, crashPoint, type Database, immediate, isBroken, schemaVersion } from '@claudemesh/storage'
import { goneKeysKeptMs, nearNamesMax } from '../limits.ts'
import { openReplaceable } from '../quarantine.ts'
import type { Runtime } from '../runtime.ts'
import { type DirectoryMember, type Negotiated, type Presence, toDirectoryMember } from './directory-member.ts'
import { nearNames } from './near-names.ts'
import { listKeys, type ProvenKey, proveRecord } from './proof.ts'
import { RecipientSets } from './recipient-sets.ts'
import { Revocations } from './revocations.ts'
import { SigningKeys } from './signing-keys/signing-keys.ts'
import { type MemberRow, MemberStatements, type TopicRow } from './statements.ts'
import { toPeer, toTopic } from './views.ts'

export type { DirectoryMember, Negotiated } from './directory-member.ts'

/** The mesh whose members these are, and which of them this host is. */
export interface MembersOfMesh {
  readonly mesh: { readonly meshId: string; readonly rootKey: string }
  readonly selfId: string
}

/** Why a record of the broker was not believed: a fault of the chain, or one of these. */
export type IgnoredReason = string

export class Members {
  readonly #db: Database
  readonly #statements: MemberStatements
  readonly #runtime: Runtime
  readonly #of: MembersOfMesh
  readonly #presence = new Map<string, Presence>()
  readonly #ignored = new Map<IgnoredReason, number>()
  readonly revocations: Revocations
  readonly recipientSets: RecipientSets
  readonly signingKeys: SigningKeys

  /**
   * Opens the directory. A damaged file is moved aside: members come back from the broker, and so do the wishes about
   * topics that the broker has confirmed before.
   */
  static open(options: { readonly path: string; readonly runtime: Runtime } & MembersOfMesh): Members {
    const { path, runtime } = options
    const migrations = new URL('./schema/', import.meta.url)
    const { db } = openReplaceable({ path, migrations, now: runtime.now })
    return new Members({ db, runtime, of: { mesh: options.mesh, selfId: options.selfId } })
  }

  private constructor(parts: { db: Database; runtime: Runtime; of: MembersOfMesh }) {
    this.#db = parts.db
    this.#statements = new MemberStatements(parts.db)
    this.#runtime = parts.runtime
    this.#of = parts.of
    const shared = { db: parts.db, statements: this.#statements }
    this.revocations = new Revocations({ ...shared, mesh: parts.of.mesh, now: parts.runtime.now })
    this.recipientSets = new RecipientSets(shared)
    const { revocations } = this
    this.signingKeys = new SigningKeys({ db: parts.db, revocations, selfId: parts.of.selfId, now: parts.runtime.now })
  }

  close(): void {
    closeDatabase(this.#db)
  }

  get broken(): boolean {
    return isBroken(this.#db)
  }

  get schemaVersion(): number {
    return schemaVersion(this.#db)
  }

  /** The member id of this host. */
  get selfId(): string {
    return this.#of.selfId
  }

  findById(memberId: string): DirectoryMember | null {
    const row = this.#statements.memberById(memberId)
    return row === null || !this.#isInForce(row) ? null : this.#toMember(row)
  }

  findByName(name: string): DirectoryMember[] {
    return this.#statements
      .membersByName(name)
      .filter((row) => this.#isInForce(row))
      .map((row) => this.#toMember(row))
  }

  /** Names like this one, for a hint. */
  nearNames(name: string): string[] {
    return nearNames({ wanted: name, known: this.#statements.memberNames(), limit: nearNamesMax })
  }

  /** A topic that the broker has, or that this host has asked for. */
  findTopic(name: string): { readonly name: string; readonly wanted: boolean } | null {
    const topic = this.#statements.topicByName(name)
    return topic !== null && (topic.known || topic.wanted === true) ? { name, wanted: topic.wanted === true } : null
  }

  nearTopics(name: string): string[] {
    const known = this.#statements.allTopics().map((topic) => topic.name)
    return nearNames({ wanted: name, known, limit: nearNamesMax })
  }

  /** Everybody, by name. */
  peers(): Peer[] {
    const rows = this.#statements.allMembers().filter((row) => this.#isInForce(row))
    return rows.map((row) => toPeer(this.#toMember(row), this.#of.selfId))
  }

  /** Topics of the mesh and those this host wants, by name. */
  topics(): Topic[] {
    const rows = this.#statements.allTopics().filter((row) => row.known || row.wanted === true)
    return rows.map(toTopic)
  }

  /** The X25519 public key (hex) with which a member seals at an epoch; null when no chain has proven one. */
  boxKey(memberId: string, epoch: number): string | null {
    return this.#statements.boxKey(memberId, epoch)
  }

  /** Takes the keys of this member's own chain, which needs no proof: what it sealed itself comes back in history. */
  learnOwnKeys(chain: readonly Certificate[]): void {
    immediate(this.#db, () => this.#learnKeys(this.#of.selfId, listKeys(this.#of.selfId, chain)))
  }

  /** When the list of members was last read completely; null: never. */
  syncedAt(): number | null {
    return this.#statements.fact('members_synced_at') as number | null
  }

  topicsSyncedAt(): number | null {
    return this.#statements.fact('topics_synced_at') as number | null
  }

  /** Keeps the wish to be subscribed to a topic, or not to be. */
  setWanted(topic: string, wanted: boolean): void {
    immediate(this.#db, () => this.#statements.wantTopic(topic, wanted))
  }

  /** Topics whose confirmed state is not the wanted one. */
  unreconciled(): { readonly topic: string; readonly wanted: boolean }[] {
    const rows = this.#statements.allTopics()
    return rows.flatMap((row: TopicRow) =>
      row.wanted === null || row.wanted === row.subscribed ? [] : [{ topic: row.name, wanted: row.wanted }],
    )
  }

  profile(): ProfileResponse {
    return this.storedProfile() ?? { summary: null, status: null, visible: true }
  }

  /** The profile that this host set; null when it never set one. */
  storedProfile(): ProfileResponse | null {
    return this.#statements.fact('profile') as ProfileResponse | null
  }

  setProfile(profile: ProfileResponse): void {
    immediate(this.#db, () => this.#statements.saveFact('profile', profile))
  }

  negotiated(): Negotiated | null {
    return this.#statements.fact('negotiated') as Negotiated | null
  }

  saveNegotiated(negotiated: Negotiated): void {
    immediate(this.#db, () => this.#statements.saveFact('negotiated', negotiated))
  }

  /**
   * Takes over what the broker says of members, each only after its own proof.
   *
   * @returns the members of whom a box key was learnt
   */
  applyDirectory(records: readonly MemberRecord[]): readonly string[] {
    return immediate(this.#db, (tx) => {
      const learnt: string[] = []
      const believed = records.filter((record) => this.#believe(record, learnt))
      tx.afterCommit(() => {
        for (const record of believed) {
          this.#presence.set(record.member_id, { online: record.online, lastSeenAt: record.last_seen_at })
        }
        crashPoint('daemon.members.after-commit')
      })
      crashPoint('daemon.members.before-commit')
      return learnt
    })
  }

  /** These are all members: the others are removed, and the list counts as synced. */
  keepOnly(memberIds: readonly string[]): void {
    immediate(this.#db, () => {
      const now = this.#runtime.now()
      const named = new Set(memberIds)
      for (const { memberId } of this.#statements.allMembers()) if (!named.has(memberId)) this.#remove(memberId)
      this.#statements.removeGoneKeys(now - goneKeysKeptMs)
      this.#statements.saveFact('members_synced_at', now)
    })
  }

  /** @returns the member when this changed whether it is online; null when it did not, or nobody here knows it */
  applyPresence(presence: {
    readonly memberId: string
    readonly online: boolean
    readonly at: number
  }): DirectoryMember | null {
    const before = this.findById(presence.memberId)
    if (before === null) return null
    this.#presence.set(presence.memberId, { online: presence.online, lastSeenAt: presence.at })
    return before.online === presence.online ? null : this.findById(presence.memberId)
  }

  /** The connection is gone: nothing is known of who is there. */
  forgetPresence(): void {
    for (const [memberId, { lastSeenAt }] of this.#presence) this.#presence.set(memberId, { online: false, lastSeenAt })
  }

  /** @param complete whether these are all topics; then the others are no longer at the broker */
  applyTopics(records: readonly TopicRecord[], complete: boolean): void {
    immediate(this.#db, () => {
      for (const record of records) this.#statements.saveTopic(record)
      if (!complete) return
      const named = new Set(records.map((record) => record.name))
      for (const topic of this.#statements.allTopics()) {
        if (!named.has(topic.name)) this.#statements.forgetTopic(topic.name)
      }
      this.#statements.removeIdleTopics()
      this.#statements.saveFact('topics_synced_at', this.#runtime.now())
    })
  }

  /** A topic was made or changed at the broker, which may say how many subscribe to it now. */
  noteTopic(name: string, subscribers: number | null): void {
    immediate(this.#db, () => this.#statements.noteTopic(name, subscribers))
  }

  /** Records that were not believed since the start, by reason. */
  ignored(): ReadonlyMap<IgnoredReason, number> {
    return this.#ignored
  }

  /** @returns whether the member is listed from now on */
  #believe(record: MemberRecord, learnt: string[]): boolean {
    const memberId = record.member_id
    const known = this.#statements.memberById(memberId)
    const latest = this.#statements.latestBoxKey(memberId)
    const proof = proveRecord({ mesh: this.#of.mesh, record, known, latest, now: this.#runtime.now() })
    if (!proof.ok) {
      this.#ignored.set(proof.reason, (this.#ignored.get(proof.reason) ?? 0) + 1)
      return false
    }
    if (this.#learnKeys(memberId, proof.keys)) learnt.push(memberId)
    if (record.status === 'left') {
      this.#remove(memberId)
      return false
    }
    this.#statements.markKeysListed(memberId)
    const status = this.revocations.isRevoked(record.chain) ? 'revoked' : proof.row.status
    this.#statements.saveMember({ ...proof.row, status })
    if (proof.isNew) this.#statements.saveChain({ memberId, chain: record.chain })
    return true
  }

  /** @returns whether any of them is new */
  #learnKeys(memberId: string, keys: readonly ProvenKey[]): boolean {
    const fresh = keys.filter((key) => this.#statements.saveBoxKey({ memberId, ...key }))
    return fresh.length > 0
  }

  /** Its keys stay for a while. */
  #remove(memberId: string): void {
    this.#statements.removeMember(memberId)
    this.#statements.markKeysGone(memberId, this.#runtime.now())
  }

  /** A certificate that has ended proves nothing, however well it was verified when it still did. */
  #isInForce(row: MemberRow): boolean {
    return row.notAfter === null || this.#runtime.now() < row.notAfter
  }

  #toMember(row: MemberRow): DirectoryMember {
    return toDirectoryMember(row, this.#presence.get(row.memberId) ?? null)
  }
}
