/**
 * The embedded engine: one process, one SQLite file, one writer.
 *
 * 1. Writes go through `Writer`: those that wait together share one fsync.
 * 2. Reads are synchronous and see committed rows only, because nothing else runs while a transaction is open. One that
 *    meets a damaged page ends the engine as a failed write does.
 * 3. Claims are in memory (see leases.ts) and end with the process.
 */
import { MeshError } from '@claudemesh/protocol'
import { closeDatabase, crashPoint, type Database, isBroken, openDatabase, read } from '@claudemesh/storage'
import type { Runtime } from '../../runtime.ts'
import type { RevocationChange } from '../departures.ts'
import type { InspectionPosition } from '../inspection.ts'
import type { Member, MemberKey, Mesh, MessageKey } from '../rows.ts'
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
import { prepareAccept } from './accept/statements.ts'
import { SqliteBlobs } from './blobs/sqlite-blobs.ts'
import { prepareBlobs } from './blobs/statements.ts'
import { acknowledgeAll, claimNext, readHistory } from './deliveries/deliveries.ts'
import { recordReadMarks } from './deliveries/read-marks.ts'
import { prepareDeliveries } from './deliveries/statements.ts'
import { drain, forgetMembers, leave } from './departure/depart.ts'
import { putRevocations } from './departure/revoke.ts'
import { prepareDepartures, prepareRevocations } from './departure/statements.ts'
import { inspectFile } from './inspection/examined-file.ts'
import { prepareInspection } from './inspection/statements.ts'
import { Leases } from './leases.ts'
import { admit } from './membership/admit.ts'
import { prepareAdmission, prepareDirectory } from './membership/statements.ts'
import { subscribe } from './membership/subscribe.ts'
import { MemorySeats } from './memory-seats.ts'
import { SqliteQueues } from './queues/sqlite-queues.ts'
import { prepareQueues } from './queues/statements.ts'
import { prepareWork } from './queues/work/statements.ts'
import { expireMessages } from './retention/expire-messages.ts'
import { prepareRetention } from './retention/statements.ts'
import { appendToSpace } from './spaces/append.ts'
import { SqliteSpaces } from './spaces/sqlite-spaces.ts'
import { prepareSpaces } from './spaces/statements.ts'
import { prepareCounters, prepareService } from './statements.ts'
import { Writer } from './writer.ts'

function prepareAll(db: Database) {
  return {
    accept: prepareAccept(db),
    admission: prepareAdmission(db),
    blobs: prepareBlobs(db),
    counters: prepareCounters(db),
    deliveries: prepareDeliveries(db),
    departure: prepareDepartures(db),
    directory: prepareDirectory(db),
    inspection: prepareInspection(db),
    queues: prepareQueues(db),
    retention: prepareRetention(db),
    revocations: prepareRevocations(db),
    service: prepareService(db),
    spaces: prepareSpaces(db),
    work: prepareWork(db),
  }
}

export class SqliteStore implements Store {
  readonly blobs: SqliteBlobs
  readonly queues: SqliteQueues
  readonly seats: MemorySeats
  readonly spaces: SqliteSpaces
  readonly #db: Database
  readonly #statements: ReturnType<typeof prepareAll>
  readonly #writer: Writer
  readonly #leases: { readonly deliveries: Leases; readonly receipts: Leases }
  readonly #runtime: Runtime

  private constructor(db: Database, runtime: Runtime) {
    this.#db = db
    this.#runtime = runtime
    this.#statements = prepareAll(db)
    this.#writer = new Writer(db)
    const monotonicMs = () => runtime.monotonicMs()
    this.blobs = new SqliteBlobs(this.#statements, this.#writer, (run) => read(db, run))
    this.queues = new SqliteQueues(this.#statements, this.#writer, (run) => read(db, run))
    this.spaces = new SqliteSpaces(this.#statements, this.#writer, (run) => read(db, run))
    this.seats = new MemorySeats(
      {
        listPresent: () => this.#read(({ directory }) => directory.listPresent()),
        recordPresence: (member, presence) =>
          this.#writer.write(() => this.#statements.directory.recordPresence(member, presence)),
      },
      () => runtime.now(),
    )
    this.#leases = { deliveries: new Leases(monotonicMs), receipts: new Leases(monotonicMs) }
  }

  /**
   * Opens the database file, making it when there is none. The caller holds the lock of its directory.
   *
   * @throws MeshError as `openDatabase` does
   */
  static open(options: { readonly path: string; readonly runtime: Runtime }): SqliteStore {
    const { path, runtime } = options
    const migrations = new URL('./schema/', import.meta.url)
    return new SqliteStore(openDatabase({ path, migrations, now: () => runtime.now() }), runtime)
  }

  expectAdmission(): void {
    this.#writer.expectMore()
  }

  admit(admission: Admission) {
    return this.#writer.write(() => admit(this.#statements, admission))
  }

  async findMesh(meshId: string): Promise<Mesh | null> {
    return this.#read(({ admission }) => admission.findMesh(meshId) ?? null)
  }

  async listMeshesWithSettings(): Promise<readonly Mesh[]> {
    return this.#read(({ admission }) => admission.listMeshesWithSettings())
  }

  async findAccepted(keys: readonly MessageKey[]) {
    return this.#read(({ accept }) => keys.map((key) => accept.findAccepted(key)))
  }

  /** A batch in which something of ours throws is tried again item by item, so that one item never fails the others. */
  async acceptBatch(items: readonly AcceptItem[]): Promise<readonly AcceptOutcome[]> {
    if (items.length === 0) return []
    try {
      return await this.#writer.write((tx) => acceptAll(tx, this.#statements, items))
    } catch (error) {
      if (items.length === 1 || error instanceof MeshError) return items.map(() => ({ kind: 'failed', error }))
      const alone = await Promise.all(items.map((item) => this.acceptBatch([item])))
      return alone.flat()
    }
  }

  appendToSpace(item: AcceptItem, append: SpaceAppend) {
    return this.#writer.write((tx) => appendToSpace(tx, this.#statements, { item, append }))
  }

  async claim(request: ClaimRequest): Promise<Claimed> {
    const claimed = this.#read(({ deliveries }) => claimNext(deliveries, this.#leases, request))
    if (claimed.deliveries.length > 0) crashPoint('broker.deliver.after-claim')
    return claimed
  }

  async acknowledge(member: MemberKey, items: readonly Acknowledgement[]): Promise<readonly string[]> {
    const at = this.#runtime.now()
    const notified = await this.#writer.write((tx) => acknowledgeAll(tx, this.#statements, { member, items, at }))
    for (const { deliveryId } of items) {
      this.#leases.deliveries.end(member, deliveryId)
      this.#leases.receipts.end(member, deliveryId)
    }
    return notified
  }

  recordRead(member: MemberKey, marks: readonly ReadMark[]): Promise<readonly string[]> {
    const now = this.#runtime.now()
    return this.#writer.write((tx) => recordReadMarks(tx, this.#statements, { member, marks, now }))
  }

  async releaseClaims(member: MemberKey, connectionId: string): Promise<void> {
    this.#leases.deliveries.release(member, connectionId)
    this.#leases.receipts.release(member, connectionId)
  }

  async pageMembers(meshId: string, page: Page): Promise<readonly Member[]> {
    return this.#read(({ directory }) => directory.pageMembers(meshId, page))
  }

  async findMember(key: MemberKey): Promise<Member | null> {
    return this.#read(({ directory }) => directory.findMember(key))
  }

  async pageTopics(key: MemberKey, page: Page) {
    return this.#read(({ directory }) => directory.pageTopics(key, page))
  }

  subscribe(key: MemberKey, change: { topic: string; subscribed: boolean; at: number }) {
    return this.#writer.write(() => subscribe(this.#statements, key, change))
  }

  async listRecipients(key: MemberKey, of: { topic: string; limit: number }) {
    return this.#read(({ directory }) => directory.listRecipients(key, of))
  }

  async findRevocations(meshId: string) {
    return this.#read(({ revocations }) => revocations.findRevocations(meshId))
  }

  putRevocations(change: RevocationChange) {
    return this.#writer.write(() => putRevocations(this.#statements, change))
  }

  leave(key: MemberKey, leaving: { at: number; rowsMax: number; leaseEnded: boolean }) {
    return this.#writer.write(() => leave(this.#statements, key, leaving))
  }

  drain(options: { at: number; rowsMax: number }) {
    return this.#writer.write(() => drain(this.#statements, options))
  }

  forgetMembers(options: { now: number; dedupeRetentionDays: number; rowsMax: number }) {
    return this.#writer.write(() => forgetMembers(this.#statements, options))
  }

  async listEndedLeases(options: { now: number; limit: number }) {
    return this.#read(({ departure }) => departure.listEndedLeases(options))
  }

  renewLeases(members: readonly MemberKey[] | null, at: number): Promise<void> {
    return this.#writer.write(() => {
      if (members === null) this.#statements.departure.renewLeases(at)
      for (const member of members ?? []) this.#statements.departure.renewLease(member, at)
    })
  }

  setProfile(key: MemberKey, profile: { summary: string | null; activity: string | null; visible: boolean }) {
    return this.#writer.write(() => this.#statements.directory.setProfile(key, profile))
  }

  async pageHistory(key: MemberKey, page: HistoryPage) {
    return this.#read(({ deliveries }) => readHistory(deliveries, key, page))
  }

  expireDedupe(options: { now: number; rowsMax: number }): Promise<number> {
    const { now, rowsMax } = options
    return this.#writer.write(() => this.#statements.retention.deleteDedupe({ now, limit: rowsMax }))
  }

  expireMessages(options: Retention) {
    return this.#writer.write(() => expireMessages(this.#statements, options))
  }

  inspect(position: InspectionPosition | null, rowsMax: number) {
    return inspectFile(this.#db, this.#statements.inspection, { position, rowsMax })
  }

  async count() {
    return this.#read(({ service }) => service.count())
  }

  async lastAcceptedAt() {
    return this.#read(({ service }) => service.lastAcceptedAt()) || null
  }

  async ping(): Promise<void> {
    this.#read(({ service }) => service.ping())
    if (isBroken(this.#db)) {
      throw new MeshError('storage_failed', { detail: 'an earlier write to the database failed, or a read met damage' })
    }
  }

  async close(): Promise<void> {
    await this.#writer.drain()
    closeDatabase(this.#db)
  }

  #read<T>(run: (statements: ReturnType<typeof prepareAll>) => T): T {
    return read(this.#db, () => run(this.#statements))
  }
}
