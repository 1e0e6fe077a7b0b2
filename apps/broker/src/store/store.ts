/**
 * Everything the broker keeps, as promises. An engine implements this and nothing else of the broker changes;
 * test/conformance runs one suite over each.
 *
 * 1. An operation that returned is durable. One that threw changed nothing.
 * 2. An operation is about one mesh, except those of the jobs; nothing of one mesh is ever seen from another.
 * 3. Operations that wait together may share a transaction. None ever sees half of another, and one that fails does not
 *    fail its neighbours.
 * 4. Failures of the storage below are thrown as MeshError `insufficient_storage` (nothing is wrong but the space) or
 *    `storage_failed`.
 *
 * It does not authenticate, judge, limit or push: it keeps what it is told and hands it back.
 */
import type { Admission as InviteUse } from '@claudemesh/identity'
import type { Certificate, DeliveryOutcome, Destination, MeshRecord, Priority } from '@claudemesh/protocol'
import type { Blobs } from './blobs.ts'
import type { Departures } from './departures.ts'
import type { Inspection } from './inspection.ts'
import type { Queues } from './queues.ts'
import type { Accepted, Delivery, Member, MemberKey, Mesh, Message, MessageKey, Receipt, Topic } from './rows.ts'
import type { Seats } from './seats.ts'
import type { SpaceAppend, Spaces } from './spaces.ts'

/** A member whose hello has been verified, asking to be let in. */
export interface Admission {
  readonly mesh: MeshRecord
  readonly memberId: string
  readonly name: string
  readonly role: 'admin' | 'member'
  readonly epoch: number
  readonly signingKey: string
  readonly boxKey: string
  readonly chain: readonly Certificate[]
  readonly invites: readonly InviteUse[]
  readonly hostFingerprint: string | null
  /** How long it stays a member without being connected; null: until it leaves or is revoked. */
  readonly ephemeralTtlMs: number | null
  /** Whether a mesh that this store has never seen may be made. */
  readonly mayRegister: boolean
  readonly at: number
}

export type AdmissionOutcome =
  | { readonly kind: 'admitted'; readonly mesh: Mesh; readonly changed: 'joined' | 'renewed' | null }
  | { readonly kind: AdmissionRefusal }

/**
 * `epoch_stale`: a key that the member has replaced. `epoch_conflict`: keys that its own did not sign.
 * `issuer_revoked`: who let it in had been revoked by then.
 */
export type AdmissionRefusal =
  | 'mesh_unknown'
  | 'mesh_conflict'
  | 'member_revoked'
  | 'epoch_stale'
  | 'epoch_conflict'
  | 'invite_expired'
  | 'invite_used_up'
  | 'invite_revoked'
  | 'issuer_revoked'

/** A message on its way in. Its fingerprint has been compared with its bytes. */
export interface AcceptItem extends MessageKey {
  /** 32 bytes. */
  readonly fingerprint: Buffer
  readonly destination: Destination
  readonly replyTo: string | null
  readonly priority: Priority
  /** Null: whoever is subscribed at the time of the commit. */
  readonly recipientsEpoch: number | null
  readonly mentions: readonly string[]
  readonly receipts: boolean
  readonly sealed: Buffer
  /** Given by the caller before the transaction; used only if the message is new. */
  readonly brokerMessageId: string
  readonly acceptedAt: number
  /** Null: the id is remembered for ever. */
  readonly dedupeExpiresAt: number | null
}

export type AcceptOutcome =
  | {
      readonly kind: 'stored'
      readonly brokerMessageId: string
      readonly historyId: number
      readonly recipients: readonly string[]
    }
  /** The id was there already, by an earlier send or by one that won a race. */
  | { readonly kind: 'known'; readonly accepted: Accepted }
  | {
      readonly kind:
        | 'sender_left'
        | 'sender_revoked'
        | 'recipient_unknown'
        | 'recipient_revoked'
        | 'topic_unknown'
        | 'queue_unknown'
    }
  | { readonly kind: 'recipients_stale'; readonly recipientsEpoch: number }
  /** The storage failed, or something of ours did. Nothing of the item was kept. */
  | { readonly kind: 'failed'; readonly error: unknown }

export type SpaceAppendOutcome = AcceptOutcome | { readonly kind: 'lease_lost' }

export interface ClaimRequest extends MemberKey {
  readonly connectionId: string
  readonly leaseMs: number
  readonly itemsMax: number
  /** Bytes of sealed messages. The first one is claimed whatever its size. */
  readonly bytesMax: number
}

export interface Claimed {
  readonly deliveries: readonly Delivery[]
  readonly receipts: readonly Receipt[]
}

export interface Acknowledgement {
  readonly deliveryId: number
  readonly outcome: DeliveryOutcome
}

/** A message that a member has read, and when its host says that it was. */
export interface ReadMark {
  readonly brokerMessageId: string
  readonly at: number
}

export interface Page {
  readonly limit: number
  /** The last key of the page before; null for the first. */
  readonly after: string | null
}

export interface HistoryPage {
  /** The last history id of the page before; 0 for the first. */
  readonly after: number
  /** Nothing accepted before that time. */
  readonly since: number
  readonly limit: number
  /** Bytes of sealed messages. The first one is returned whatever its size. */
  readonly bytesMax: number
}

export interface Retention {
  readonly now: number
  /** For meshes that have no value of their own. */
  readonly messageRetentionDays: number
  readonly rowsMax: number
}

export interface Store extends Departures, Inspection {
  readonly blobs: Blobs
  readonly queues: Queues
  readonly seats: Seats
  readonly spaces: Spaces

  /** A hint: somebody has just connected, whose admission may share a commit with those of others. */
  expectAdmission(): void

  /**
   * Lets a member in: registers its mesh, inserts or renews the member, and consumes the uses of the invites in its
   * chain, each once per invite and admitted member. All of it or nothing. The mesh's root key, once registered, and
   * a member's epoch never go back. A member that left joins again; one that is revoked, or was let in by what had
   * been revoked before, never does. The lease of an ephemeral member begins.
   */
  admit(admission: Admission): Promise<AdmissionOutcome>
  findMesh(meshId: string): Promise<Mesh | null>

  /** Meshes that do not leave all of their settings to the broker. */
  listMeshesWithSettings(): Promise<readonly Mesh[]>

  /** What is remembered of each key, null for what is not: the dedupe fast path. */
  findAccepted(keys: readonly MessageKey[]): Promise<readonly (Accepted | null)[]>

  /**
   * Accepts messages in their order, one outcome per item in the order of the items. For each: dedupe row, message,
   * history row, one delivery row per recipient and mention rows are there when this returns, or none of them.
   *
   * Of any number of items with one key exactly one is ever stored. The history ids of a mesh have no gap: a rejected
   * item takes none. A sender is no recipient of its own topic message; it is one of a dm to itself. A message to a queue
   * has no recipients: it waits for one of the consumers to take it. As long as there is none the queue is
   * `recipients_stale`, whatever the epoch.
   */
  acceptBatch(items: readonly AcceptItem[]): Promise<readonly AcceptOutcome[]>

  /** Accepts one message to the topic of a space, if its sender may append that, and moves the head of the space with it. */
  appendToSpace(item: AcceptItem, append: SpaceAppend): Promise<SpaceAppendOutcome>

  /**
   * Claims what waits for a member, in order of delivery ids, for one of its connections. What is claimed is claimed
   * by nobody else until it is acknowledged, released, or its lease is over. Delivery ids are never used twice.
   */
  claim(request: ClaimRequest): Promise<Claimed>

  /**
   * Deletes what the member acknowledges, whoever holds the claim, and leaves a receipt for the sender where the sender
   * wants one. Ids that are unknown or another member's are passed over.
   *
   * @returns the members for whom a receipt waits now
   */
  acknowledge(member: MemberKey, items: readonly Acknowledgement[]): Promise<readonly string[]>

  /**
   * Keeps that a member has read messages, and leaves a receipt for each sender that wants one: one for each message and
   * reader, however often it is reported. Messages that are not kept (any more), or were never addressed to the member,
   * are passed over. A time before the message was accepted, or in the future, gives way to the nearest that can be.
   *
   * @returns the members for whom a receipt waits now
   * @throws MeshError `member_revoked` or `unauthenticated` when the member is gone
   */
  recordRead(member: MemberKey, marks: readonly ReadMark[]): Promise<readonly string[]>

  /** Gives back at once everything that a connection of the member has claimed. */
  releaseClaims(member: MemberKey, connectionId: string): Promise<void>

  /** Members in order of their ids. Of those that left, only such of which a message is kept. */
  pageMembers(meshId: string, page: Page): Promise<readonly Member[]>
  findMember(key: MemberKey): Promise<Member | null>

  /** Topics in order of their names. */
  pageTopics(key: MemberKey, page: Page): Promise<readonly Topic[]>
  /**
   * Subscribes or unsubscribes a member; the first subscription makes the topic. Repeating it changes nothing.
   *
   * @returns null when there is no such topic to leave; `changed` false when it was so already
   * @throws MeshError `member_revoked` or `unauthenticated` when the member is gone
   */
  subscribe(
    key: MemberKey,
    change: { readonly topic: string; readonly subscribed: boolean; readonly at: number },
  ): Promise<{ readonly topic: Topic; readonly changed: boolean } | null>

  /**
   * Whom a message of the member to a topic reaches, in order of their ids, and the epoch of that set: as long as it
   * is the topic's, the set is this one.
   *
   * @returns null when there is no such topic
   */
  listRecipients(
    key: MemberKey,
    of: { readonly topic: string; readonly limit: number },
  ): Promise<{ readonly recipientsEpoch: number; readonly members: readonly string[] } | null>

  setProfile(
    key: MemberKey,
    profile: { readonly summary: string | null; readonly activity: string | null; readonly visible: boolean },
  ): Promise<void>

  /**
   * Messages that were addressed to a member, oldest first, delivered or not: its dms, and the messages of others in
   * topics it subscribes to, since it does. `more`: the next page has something.
   */
  pageHistory(
    key: MemberKey,
    page: HistoryPage,
  ): Promise<{ readonly messages: readonly Message[]; readonly more: boolean }>

  /** Forgets ids whose time is over and whose message is gone. @returns how many */
  expireDedupe(options: { readonly now: number; readonly rowsMax: number }): Promise<number>

  /**
   * Deletes the oldest messages past their retention, with everything that hangs on them, and says so in their dedupe
   * rows in the same transaction. One that was accepted by a clock which was ahead keeps no other from going. Recipients
   * that had not got one are reported to its sender as `undeliverable`.
   *
   * @returns how many rows went, and for whom receipts wait now
   */
  expireMessages(options: Retention): Promise<{ readonly rows: number; readonly notified: readonly MemberKey[] }>

  /** When the newest of the messages that are kept was accepted; null: there is none. */
  lastAcceptedAt(): Promise<number | null>

  /** How much there is, for metrics; deliveries that wait are counted up to 100 001. */
  count(): Promise<{ readonly meshes: number; readonly members: number; readonly deliveries: number }>

  /** Returns when the database answers. @throws MeshError when it does not, or takes no more writes */
  ping(): Promise<void>
  /** Waits for what is under way, then closes. */
  close(): Promise<void>
}
