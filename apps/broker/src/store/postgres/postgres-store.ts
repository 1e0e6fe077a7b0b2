/**
 * The engine for a team: any number of brokers over one PostgreSQL database.
 *
 * 1. A write is one transaction; those of one mesh that decide whom a message reaches, or give numbers, take turns at the
 *    lock of the mesh (`lockMeshes`).
 * 2. Claims are in the rows, so that every broker sees them; they end with their time, whatever became of who made them.
 * 3. A database that does not answer fails what is asked of it, with `storage_unavailable`, and ends nothing.
 */
import { MeshError } from '@claudemesh/protocol'
import { crashPoint } from '@claudemesh/storage'
import { migratePostgres, type Pool } from '@claudemesh/storage/postgres'
import { acceptBytesMax, databaseConnectMsMax } from '../../limits.ts'
import type { Runtime } from '../../runtime.ts'
import type { RevocationChange } from '../departures.ts'
import type { InspectionPosition } from '../inspection.ts'
import type { RateLimiter, RateLimits } from '../rates.ts'
import type { MemberKey, MessageKey } from '../rows.ts'
import type { SpaceAppend } from '../spaces.ts'
import type {
  AcceptItem,
  AcceptOutcome,
  Acknowledgement,
  Admission,
  Claimed,
  ClaimRequest,
  HistoryPage,
  Page,
  ReadMark,
  Retention,
  Store,
} from '../store.ts'
import { acceptAll } from './accept/accept.ts'
import { findAccepted } from './accept/statements.ts'
import { PostgresBlobs } from './blobs/postgres-blobs.ts'
import { acknowledgeAll, claimNext, recordReadMarks } from './deliveries/deliveries.ts'
import { giveBack, readHistory } from './deliveries/statements.ts'
import { drain, forgetMembers, leave } from './departure/depart.ts'
import { putRevocations } from './departure/revoke.ts'
import { findRevocations, listEndedLeases, renewLeases } from './departure/statements.ts'
import { inspect } from './inspection/inspect.ts'
import { listRisks } from './inspection/risks.ts'
import { admit } from './membership/admit.ts'
import { findMember, listRecipients, pageMembers, pageTopics, setProfile } from './membership/directory/statements.ts'
import { findMesh, listMeshesWithSettings } from './membership/statements.ts'
import { subscribe } from './membership/subscribe.ts'
import { openPool } from './open-pool.ts'
import { PostgresQueues } from './queues/postgres-queues.ts'
import { PostgresRates } from './rates/postgres-rates.ts'
import { expireMessages } from './retention/expire-messages.ts'
import { expireDedupe } from './retention/statements.ts'
import { PostgresSeats } from './seats/postgres-seats.ts'
import { endSeatsOf } from './seats/statements.ts'
import { appendToSpace } from './spaces/append.ts'
import { PostgresSpaces } from './spaces/postgres-spaces.ts'
import { count, isReadOnly, lastAcceptedAt, schema } from './statements.ts'

export class PostgresStore implements Store {
  readonly blobs: PostgresBlobs
  readonly queues: PostgresQueues
  readonly seats: PostgresSeats
  readonly spaces: PostgresSpaces
  readonly #pool: Pool
  readonly #runtime: Runtime
  /** The last delivery id that each live connection of this broker has claimed: how far its claims are to be looked for. */
  readonly #lastClaimed = new Map<string, number>()

  private constructor(pool: Pool, runtime: Runtime) {
    this.#pool = pool
    this.blobs = new PostgresBlobs(pool)
    this.queues = new PostgresQueues(pool)
    this.seats = new PostgresSeats(pool)
    this.spaces = new PostgresSpaces(pool)
    this.#runtime = runtime
  }

  /**
   * Opens a database, bringing its tables to the newest schema.
   *
   * @param options `url` with user and password: `postgres://…`
   * @throws MeshError `storage_unavailable`, `schema_too_new`, `start_failed`
   */
  static async open(options: { readonly url: string; readonly runtime: Runtime }): Promise<PostgresStore> {
    const { url, runtime } = options
    await migratePostgres({
      url,
      applicationName: 'claudemesh-broker',
      connectMsMax: databaseConnectMsMax,
      schema,
      directory: new URL('./schema/', import.meta.url),
      now: () => runtime.now(),
    })
    return new PostgresStore(openPool(url), runtime)
  }

  /** Why what was acknowledged may not survive a power cut of the server. */
  listRisks() {
    return this.#pool.read(listRisks)
  }

  /** Limits that hold for everybody who shares this database. */
  limitRates(limits: RateLimits): RateLimiter {
    return new PostgresRates(this.#pool, limits)
  }

  expectAdmission(): void {
    // Nothing here waits for others, and a commit keeps nobody from connecting.
  }

  admit(admission: Admission) {
    return this.#pool.write((session) => admit(session, admission))
  }

  findMesh(meshId: string) {
    return this.#pool.read((session) => findMesh(session, meshId))
  }

  listMeshesWithSettings() {
    return this.#pool.read(listMeshesWithSettings)
  }

  findAccepted(keys: readonly MessageKey[]) {
    return this.#pool.read((session) => findAccepted(session, keys))
  }

  /** In transactions of a bounded size, one after the other. */
  async acceptBatch(items: readonly AcceptItem[]): Promise<readonly AcceptOutcome[]> {
    const outcomes: AcceptOutcome[] = []
    for (const part of cutBySize(items)) outcomes.push(...(await this.#acceptPart(part)))
    return outcomes
  }

  /** One in which something of ours throws is tried again item by item, so that one item never fails the others. */
  async #acceptPart(items: readonly AcceptItem[]): Promise<readonly AcceptOutcome[]> {
    try {
      const outcomes = await this.#pool.write((session) => acceptAll(session, items))
      crashPoint('broker.accept.after-commit')
      return outcomes
    } catch (error) {
      if (items.length === 1 || error instanceof MeshError) return items.map(() => ({ kind: 'failed', error }))
      const alone: AcceptOutcome[] = []
      for (const item of items) alone.push(...(await this.#acceptPart([item])))
      return alone
    }
  }

  async appendToSpace(item: AcceptItem, append: SpaceAppend) {
    const outcome = await this.#pool.write((session) => appendToSpace(session, item, append))
    crashPoint('broker.accept.after-commit')
    return outcome
  }

  async claim(request: ClaimRequest): Promise<Claimed> {
    const now = this.#runtime.now()
    // A claim that a crash of the database undoes leaves a message to be delivered again, as the crash itself does.
    const claimed = await this.#pool.write((session) => claimNext(session, { ...request, now }), { durable: false })
    const last = [claimed.deliveries.at(-1), claimed.receipts.at(-1)].map((each) => each?.deliveryId ?? 0)
    const { connectionId } = request
    if (Math.max(...last) > 0) {
      this.#lastClaimed.set(connectionId, Math.max(...last, this.#lastClaimed.get(connectionId) ?? 0))
    }
    if (claimed.deliveries.length > 0) crashPoint('broker.deliver.after-claim')
    return claimed
  }

  async acknowledge(member: MemberKey, items: readonly Acknowledgement[]): Promise<readonly string[]> {
    const at = this.#runtime.now()
    const notified = await this.#pool.write((session) => acknowledgeAll(session, { member, items, at }))
    crashPoint('broker.ack.after-commit')
    return notified
  }

  async recordRead(member: MemberKey, marks: readonly ReadMark[]): Promise<readonly string[]> {
    const now = this.#runtime.now()
    const notified = await this.#pool.write((session) => recordReadMarks(session, { member, marks, now }))
    crashPoint('broker.read.after-commit')
    return notified
  }

  async releaseClaims(member: MemberKey, connectionId: string): Promise<void> {
    const lastId = this.#lastClaimed.get(connectionId)
    if (lastId === undefined) return
    await this.#pool.write((session) => giveBack(session, { ...member, connectionId, lastId }), { durable: false })
    if (this.#lastClaimed.get(connectionId) === lastId) this.#lastClaimed.delete(connectionId)
  }

  pageMembers(meshId: string, page: Page) {
    return this.#pool.read((session) => pageMembers(session, meshId, page))
  }

  findMember(key: MemberKey) {
    return this.#pool.read((session) => findMember(session, key))
  }

  pageTopics(key: MemberKey, page: Page) {
    return this.#pool.read((session) => pageTopics(session, key, page))
  }

  subscribe(key: MemberKey, change: { topic: string; subscribed: boolean; at: number }) {
    return this.#pool.write((session) => subscribe(session, key, change))
  }

  listRecipients(key: MemberKey, of: { topic: string; limit: number }) {
    return this.#pool.read((session) => listRecipients(session, key, of))
  }

  findRevocations(meshId: string) {
    return this.#pool.read((session) => findRevocations(session, meshId))
  }

  putRevocations(change: RevocationChange) {
    return this.#pool.write(async (session) => {
      const outcome = await putRevocations(session, change)
      if (outcome.kind === 'stored') {
        await endSeatsOf(session, { meshId: change.list.mesh_id, memberIds: outcome.revoked }, 'member_revoked')
      }
      return outcome
    })
  }

  leave(key: MemberKey, leaving: { at: number; rowsMax: number; leaseEnded: boolean }) {
    return this.#pool.write(async (session) => {
      const departure = await leave(session, key, leaving)
      const gone = { meshId: key.meshId, memberIds: [key.memberId] }
      if (departure !== null) await endSeatsOf(session, gone, 'normal')
      return departure
    })
  }

  drain(options: { at: number; rowsMax: number }) {
    return this.#pool.write((session) => drain(session, options))
  }

  forgetMembers(options: { now: number; dedupeRetentionDays: number; rowsMax: number }) {
    return this.#pool.write((session) => forgetMembers(session, options))
  }

  listEndedLeases(options: { now: number; limit: number }) {
    return this.#pool.read((session) => listEndedLeases(session, options))
  }

  renewLeases(members: readonly MemberKey[] | null, at: number) {
    return this.#pool.write((session) => renewLeases(session, members, at))
  }

  setProfile(key: MemberKey, profile: { summary: string | null; activity: string | null; visible: boolean }) {
    return this.#pool.write((session) => setProfile(session, key, profile))
  }

  pageHistory(key: MemberKey, page: HistoryPage) {
    return this.#pool.read((session) => readHistory(session, key, page))
  }

  expireDedupe(options: { now: number; rowsMax: number }) {
    return this.#pool.write((session) => expireDedupe(session, options))
  }

  expireMessages(options: Retention) {
    return this.#pool.write((session) => expireMessages(session, options))
  }

  inspect(position: InspectionPosition | null, rowsMax: number) {
    return this.#pool.read((session) => inspect(session, { position, rowsMax }))
  }

  count() {
    return this.#pool.read(count)
  }

  lastAcceptedAt() {
    return this.#pool.read(lastAcceptedAt)
  }

  async ping(): Promise<void> {
    if (await this.#pool.read(isReadOnly)) {
      throw new MeshError('storage_unavailable', { detail: 'the database takes no writes' })
    }
  }

  close(): Promise<void> {
    return this.#pool.close()
  }
}

/** Parts of at most so many bytes of sealed messages, in order. */
function cutBySize(items: readonly AcceptItem[]): readonly (readonly AcceptItem[])[] {
  const parts: AcceptItem[][] = []
  let bytes = Number.POSITIVE_INFINITY
  for (const item of items) {
    bytes += item.sealed.length
    const part = parts.at(-1)
    if (part !== undefined && bytes <= acceptBytesMax) {
      part.push(item)
      continue
    }
    bytes = item.sealed.length
    parts.push([item])
  }
  return parts
}
