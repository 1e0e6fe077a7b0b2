/** All SQL of members.db. Rows are mapped here and nowhere else. */
import type { Certificate, Destination, Role } from '@claudemesh/protocol'
import type { Database, Statement } from '@claudemesh/storage'

export interface MemberRow {
  readonly memberId: string
  readonly name: string
  readonly role: Role
  readonly signingKey: string
  readonly boxKey: string
  readonly epoch: number
  /** When the current certificate ends; null: it does not. */
  readonly notAfter: number | null
  readonly status: 'active' | 'revoked'
  readonly lastSeenAt: number | null
  readonly summary: string | null
  readonly activity: string | null
  /** Digest of the chain that proved all of it. */
  readonly chainDigest: Buffer
}

/** A chain that was verified, the current certificate first. Empty when an earlier version of this verified it. */
export interface MemberChain {
  readonly memberId: string
  readonly chain: readonly Certificate[]
}

export interface TopicRow {
  readonly name: string
  readonly wanted: boolean | null
  /** Whether the broker has it. */
  readonly known: boolean
  readonly subscribed: boolean
  readonly subscribers: number | null
}

/** For whom a message to a topic or a work queue is sealed, and the epoch that this is of. */
export interface RecipientSet {
  readonly epoch: number
  readonly memberIds: readonly string[]
}

export type FactKey = 'profile' | 'negotiated' | 'members_synced_at' | 'topics_synced_at' | 'revocations'

const memberColumns = `member_id AS memberId, name, role, signing_key AS signingKey, box_key AS boxKey, epoch,
  not_after AS notAfter, status, last_seen_at AS lastSeenAt, summary, activity, chain_digest AS chainDigest`

/** What is known of one epoch of a member. */
export interface KnownKeys {
  readonly epoch: number
  /** X25519 public key in hex. */
  readonly boxKey: string
  /** Ed25519 public key in hex; null where only the other one was kept. */
  readonly signingKey: string | null
}

export class MemberStatements {
  readonly #memberById: Statement
  readonly #membersByName: Statement
  readonly #allMembers: Statement
  readonly #memberNames: Statement
  readonly #allChains: Statement
  readonly #saveMember: Statement
  readonly #saveChain: Statement
  readonly #removeMember: Statement
  readonly #revokeMember: Statement
  readonly #topicByName: Statement
  readonly #allTopics: Statement
  readonly #saveTopic: Statement
  readonly #noteTopic: Statement
  readonly #wantTopic: Statement
  readonly #forgetTopic: Statement
  readonly #removeIdleTopics: Statement
  readonly #boxKey: Statement
  readonly #latestBoxKey: Statement
  readonly #saveBoxKey: Statement
  readonly #markKeysListed: Statement
  readonly #markKeysGone: Statement
  readonly #removeGoneKeys: Statement
  readonly #recipientSet: Statement
  readonly #saveRecipientSet: Statement
  readonly #dropRecipientSet: Statement
  readonly #fact: Statement
  readonly #saveFact: Statement
  readonly #db: Database
  /** What `membersByName` read since the last change of a member: every message to a name asks for it. */
  readonly #rowsByName = new Map<string, readonly MemberRow[]>()

  constructor(db: Database) {
    this.#db = db
    this.#memberById = db.prepare(`SELECT ${memberColumns} FROM member WHERE member_id = ?`)
    this.#membersByName = db.prepare(`SELECT ${memberColumns} FROM member WHERE name = ? ORDER BY member_id`)
    this.#allMembers = db.prepare(`SELECT ${memberColumns} FROM member ORDER BY name, member_id`)
    this.#memberNames = db.prepare(`SELECT DISTINCT name FROM member`).pluck()
    // A chain may be 150 KB of text, so it is read and written only where it is needed.
    this.#allChains = db.prepare(`SELECT member_id, chain FROM member ORDER BY member_id`)
    this.#saveChain = db.prepare(`UPDATE member SET chain = :chain WHERE member_id = :memberId`)
    this.#saveMember = db.prepare(`
      INSERT INTO member (member_id, chain_digest, name, role, signing_key, box_key, epoch, not_after, status,
        last_seen_at, summary, activity)
      VALUES (:memberId, :chainDigest, :name, :role, :signingKey, :boxKey, :epoch, :notAfter, :status,
        :lastSeenAt, :summary, :activity)
      ON CONFLICT (member_id) DO UPDATE SET chain_digest = excluded.chain_digest, name = excluded.name,
        role = excluded.role, signing_key = excluded.signing_key, box_key = excluded.box_key,
        epoch = excluded.epoch, not_after = excluded.not_after, status = excluded.status,
        last_seen_at = excluded.last_seen_at, summary = excluded.summary, activity = excluded.activity`)
    this.#removeMember = db.prepare(`DELETE FROM member WHERE member_id = ?`)
    this.#revokeMember = db.prepare(`UPDATE member SET status = 'revoked' WHERE member_id = ? AND status = 'active'`)
    this.#topicByName = db.prepare(`SELECT * FROM topic WHERE name = ?`)
    this.#allTopics = db.prepare(`SELECT * FROM topic ORDER BY name`)
    this.#saveTopic = db.prepare(`
      INSERT INTO topic (name, wanted, known, subscribed, subscribers)
      VALUES (:name, CASE WHEN :subscribed = 1 THEN 1 END, 1, :subscribed, :subscribers)
      ON CONFLICT (name) DO UPDATE SET known = 1, subscribed = excluded.subscribed,
        subscribers = excluded.subscribers, wanted = coalesce(topic.wanted, excluded.wanted)`)
    this.#noteTopic = db.prepare(`
      INSERT INTO topic (name, known, subscribed, subscribers) VALUES (:name, 1, 0, :subscribers)
      ON CONFLICT (name) DO UPDATE SET known = 1, subscribers = coalesce(excluded.subscribers, subscribers)`)
    this.#wantTopic = db.prepare(`
      INSERT INTO topic (name, wanted, known, subscribed) VALUES (:name, :wanted, 0, 0)
      ON CONFLICT (name) DO UPDATE SET wanted = excluded.wanted`)
    this.#forgetTopic = db.prepare(`UPDATE topic SET known = 0, subscribed = 0, subscribers = NULL WHERE name = ?`)
    this.#removeIdleTopics = db.prepare(`DELETE FROM topic WHERE known = 0 AND coalesce(wanted, 0) = 0`)
    this.#boxKey = db.prepare(`SELECT box_key FROM box_key WHERE member_id = ? AND epoch = ?`).pluck()
    this.#latestBoxKey = db.prepare(
      `SELECT epoch, box_key AS boxKey, signing_key AS signingKey FROM box_key WHERE member_id = ?
        ORDER BY epoch DESC LIMIT 1`,
    )
    this.#saveBoxKey = db.prepare(
      `INSERT INTO box_key (member_id, epoch, box_key, signing_key) VALUES (:memberId, :epoch, :boxKey, :signingKey)
       ON CONFLICT DO NOTHING`,
    )
    this.#markKeysListed = db.prepare(`UPDATE box_key SET gone_at = NULL WHERE member_id = ? AND gone_at IS NOT NULL`)
    this.#markKeysGone = db.prepare(`UPDATE box_key SET gone_at = :now WHERE member_id = :memberId AND gone_at IS NULL`)
    this.#removeGoneKeys = db.prepare(`DELETE FROM box_key WHERE gone_at < ?`)
    this.#recipientSet = db.prepare(`SELECT epoch, member_ids FROM recipient_set WHERE kind = :kind AND ref = :ref`)
    this.#saveRecipientSet = db.prepare(`
      INSERT INTO recipient_set (kind, ref, epoch, member_ids) VALUES (:kind, :ref, :epoch, :memberIds)
      ON CONFLICT (kind, ref) DO UPDATE SET epoch = excluded.epoch, member_ids = excluded.member_ids`)
    this.#dropRecipientSet = db.prepare(`DELETE FROM recipient_set WHERE kind = :kind AND ref = :ref`)
    this.#fact = db.prepare(`SELECT value FROM fact WHERE key = ?`).pluck()
    this.#saveFact = db.prepare(
      `INSERT INTO fact (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value`,
    )
  }

  memberById(memberId: string): MemberRow | null {
    const record = this.#memberById.get(memberId)
    return record === undefined ? null : (record as MemberRow)
  }

  membersByName(name: string): readonly MemberRow[] {
    const known = this.#rowsByName.get(name)
    if (known !== undefined) return known
    const rows = this.#membersByName.all(name) as MemberRow[]
    // What a transaction reads may be taken back, and names that lead nowhere are without number.
    if (rows.length > 0 && !this.#db.inTransaction) this.#rowsByName.set(name, rows)
    return rows
  }

  allMembers(): MemberRow[] {
    return this.#allMembers.all() as MemberRow[]
  }

  /** The chain of every member, whatever its status, one at a time. */
  *chains(): Generator<MemberChain> {
    for (const record of this.#allChains.iterate()) {
      const { member_id: memberId, chain } = record as { member_id: string; chain: string }
      yield { memberId, chain: JSON.parse(chain) as readonly Certificate[] }
    }
  }

  memberNames(): string[] {
    return this.#memberNames.all() as string[]
  }

  saveMember(row: MemberRow): void {
    this.#rowsByName.clear()
    this.#saveMember.run(row)
  }

  /** Of a member that is there. */
  saveChain({ memberId, chain }: MemberChain): void {
    this.#saveChain.run({ memberId, chain: JSON.stringify(chain) })
  }

  removeMember(memberId: string): void {
    this.#rowsByName.clear()
    this.#removeMember.run(memberId)
  }

  /** @returns whether it was active */
  revokeMember(memberId: string): boolean {
    this.#rowsByName.clear()
    return this.#revokeMember.run(memberId).changes === 1
  }

  topicByName(name: string): TopicRow | null {
    const record = this.#topicByName.get(name)
    return record === undefined ? null : toTopic(record)
  }

  allTopics(): TopicRow[] {
    return this.#allTopics.all().map(toTopic)
  }

  /** What the broker says of a topic. A subscription that this host has no wish about becomes its wish. */
  saveTopic(topic: { name: string; subscribed: boolean; subscribers: number }): void {
    this.#saveTopic.run({ ...topic, subscribed: topic.subscribed ? 1 : 0 })
  }

  noteTopic(name: string, subscribers: number | null): void {
    this.#noteTopic.run({ name, subscribers })
  }

  wantTopic(name: string, wanted: boolean): void {
    this.#wantTopic.run({ name, wanted: wanted ? 1 : 0 })
  }

  /** The broker no longer has it. */
  forgetTopic(name: string): void {
    this.#forgetTopic.run(name)
  }

  /** Removes topics that neither the broker has nor this host wants. */
  removeIdleTopics(): void {
    this.#removeIdleTopics.run()
  }

  boxKey(memberId: string, epoch: number): string | null {
    return (this.#boxKey.get(memberId, epoch) as string | undefined) ?? null
  }

  /** The keys of the highest epoch that is known. */
  latestBoxKey(memberId: string): KnownKeys | null {
    return (this.#latestBoxKey.get(memberId) as KnownKeys | undefined) ?? null
  }

  /** The first key of an epoch stays. @returns whether this one is new */
  saveBoxKey(key: { memberId: string; epoch: number; boxKey: string; signingKey: string }): boolean {
    return this.#saveBoxKey.run(key).changes === 1
  }

  markKeysListed(memberId: string): void {
    this.#markKeysListed.run(memberId)
  }

  markKeysGone(memberId: string, now: number): void {
    this.#markKeysGone.run({ memberId, now })
  }

  /** Removes the keys of members who have been gone since before a time. */
  removeGoneKeys(before: number): void {
    this.#removeGoneKeys.run(before)
  }

  recipientSet({ kind, ref }: Destination): RecipientSet | null {
    const record = this.#recipientSet.get({ kind, ref }) as { epoch: number; member_ids: string } | undefined
    return record === undefined ? null : { epoch: record.epoch, memberIds: JSON.parse(record.member_ids) as string[] }
  }

  saveRecipientSet({ kind, ref }: Destination, { epoch, memberIds }: RecipientSet): void {
    this.#saveRecipientSet.run({ kind, ref, epoch, memberIds: JSON.stringify(memberIds) })
  }

  dropRecipientSet({ kind, ref }: Destination): void {
    this.#dropRecipientSet.run({ kind, ref })
  }

  fact(key: FactKey): unknown {
    const value = this.#fact.get(key) as string | undefined
    return value === undefined ? null : (JSON.parse(value) as unknown)
  }

  saveFact(key: FactKey, value: unknown): void {
    this.#saveFact.run(key, JSON.stringify(value))
  }
}

function toTopic(record: unknown): TopicRow {
  const row = record as {
    name: string
    wanted: number | null
    known: number
    subscribed: number
    subscribers: number | null
  }
  return {
    name: row.name,
    wanted: row.wanted === null ? null : row.wanted === 1,
    known: row.known === 1,
    subscribed: row.subscribed === 1,
    subscribers: row.subscribers,
  }
}
