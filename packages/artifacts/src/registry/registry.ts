/**
 * The store of artifacts (06 §11): everything that the daemon, the command line and other programs do with it.
 *
 * What is acknowledged has its bytes and its event on the disk; a finalized manifest never changes; every table that can be
 * asked is a function of the log.
 */

import { type AuditOptions, readAudit } from '../audit/audit.ts'
import type { Limits } from '../config/limits.ts'
import type { DataPlane } from '../dataplane/spi.ts'
import type { Database } from '../db/spi.ts'
import type { EventLog } from '../events/event-log.ts'
import { readHead } from '../events/statements.ts'
import type { TailOptions } from '../events/tail.ts'
import type { ViewWriter } from '../events/views/view-writer.ts'
import type { Adoption } from '../retention/adoption.ts'
import type { GarbageCollection } from '../retention/collection.ts'
import type { RetentionKeeper } from '../retention/retention.ts'
import type { Verification } from '../retention/verification.ts'
import type { Shares } from '../shares/shares.ts'
import type { BackendStatus } from '../storage/spi.ts'
import type { BatchedChanges, Batches } from './batch.ts'
import type { Finalize } from './finalize.ts'
import type { ImageExport } from './images/image-export.ts'
import type { ImageImport } from './images/image-import.ts'
import type { Ingest } from './ingest/ingest.ts'
import type { IngestSlots } from './ingest/ingest-slots.ts'
import type { Packages } from './packages.ts'
import type { Reading } from './reading.ts'
import type { Removal } from './removal.ts'
import type { Signatures } from './signatures/signatures.ts'
import { readStats, type Stats } from './stats.ts'
import type { Uploads } from './uploads/uploads.ts'

export interface RegistryParts {
  readonly registryId: string
  readonly database: Database
  readonly log: EventLog
  readonly plane: DataPlane
  readonly limits: Limits
  readonly slots: IngestSlots
  readonly packages: Packages
  readonly ingest: Ingest
  readonly uploads: Uploads
  readonly removal: Removal
  readonly batches: Batches
  readonly finalize: Finalize
  readonly reading: Reading
  readonly signatures: Signatures
  readonly imageExport: ImageExport
  readonly imageImport: ImageImport
  readonly retention: RetentionKeeper
  readonly verification: Verification
  readonly collection: GarbageCollection
  readonly adoption: Adoption
  readonly shares: Shares
  readonly gcGraceMs: number
  /** Closes the backends. */
  readonly closeStorage: () => void
}

export interface RegistryHealth {
  readonly status: 'ok' | 'degraded' | 'down'
  readonly registryId: string
  readonly database: { readonly engine: 'sqlite' | 'postgres'; readonly healthy: boolean }
  readonly backends: readonly BackendStatus[]
}

export class Registry {
  /** A ULID, made when the store was. */
  readonly registryId: string
  readonly #parts: RegistryParts
  #closing: Promise<void> | null = null

  constructor(parts: RegistryParts) {
    this.registryId = parts.registryId
    this.#parts = parts
  }

  createPackage(...o: Parameters<Packages['create']>) {
    return this.#parts.packages.create(...o)
  }

  abortPackage(...o: Parameters<Packages['abort']>) {
    return this.#parts.packages.abort(...o)
  }

  ingestFile(...o: Parameters<Ingest['ingest']>) {
    return this.#parts.ingest.ingest(...o)
  }

  ingestMany(...o: Parameters<Ingest['ingestMany']>) {
    return this.#parts.ingest.ingestMany(...o)
  }

  addExisting(...o: Parameters<Ingest['addExisting']>) {
    return this.#parts.ingest.addExisting(...o)
  }

  createUpload(...o: Parameters<Uploads['create']>) {
    return this.#parts.uploads.create(...o)
  }

  uploadStatus(...o: Parameters<Uploads['status']>) {
    return this.#parts.uploads.status(...o)
  }

  listUploads(...o: Parameters<Uploads['list']>) {
    return this.#parts.uploads.list(...o)
  }

  appendUpload(...o: Parameters<Uploads['append']>) {
    return this.#parts.uploads.append(...o)
  }

  completeUpload(...o: Parameters<Uploads['complete']>) {
    return this.#parts.uploads.complete(...o)
  }

  abortUpload(...o: Parameters<Uploads['abort']>) {
    return this.#parts.uploads.abort(...o)
  }

  sweepUploads() {
    return this.#parts.uploads.sweep()
  }

  removeFile(...o: Parameters<Removal['remove']>) {
    return this.#parts.removal.remove(...o)
  }

  /** As `Batches.run`. */
  batch<T extends readonly Promise<unknown>[]>(begin: (changes: BatchedChanges) => readonly [...T]) {
    return this.#parts.batches.run(begin)
  }

  finalizePackage(...o: Parameters<Finalize['finalize']>) {
    return this.#parts.finalize.finalize(...o)
  }

  getManifestBytes(...o: Parameters<Reading['getManifestBytes']>) {
    return this.#parts.reading.getManifestBytes(...o)
  }

  getPackage(...o: Parameters<Reading['getPackage']>) {
    return this.#parts.reading.getPackage(...o)
  }

  listPackages(...o: Parameters<Reading['listPackages']>) {
    return this.#parts.reading.listPackages(...o)
  }

  listFiles(...o: Parameters<Reading['listFiles']>) {
    return this.#parts.reading.listFiles(...o)
  }

  findFile(...o: Parameters<Reading['findFile']>) {
    return this.#parts.reading.findFile(...o)
  }

  resolve(...o: Parameters<Reading['resolve']>) {
    return this.#parts.reading.resolve(...o)
  }

  getFile(...o: Parameters<Reading['getFile']>) {
    return this.#parts.reading.getFile(...o)
  }

  sign(...o: Parameters<Signatures['sign']>) {
    return this.#parts.signatures.sign(...o)
  }

  verifySignatures(...o: Parameters<Signatures['verify']>) {
    return this.#parts.signatures.verify(...o)
  }

  getEnvelope(...o: Parameters<Signatures['envelope']>) {
    return this.#parts.signatures.envelope(...o)
  }

  exportOci(...o: Parameters<ImageExport['export']>) {
    return this.#parts.imageExport.export(...o)
  }

  importOci(...o: Parameters<ImageImport['import']>) {
    return this.#parts.imageImport.import(...o)
  }

  extendRetention(...o: Parameters<RetentionKeeper['extend']>) {
    return this.#parts.retention.extend(...o)
  }

  applyHold(...o: Parameters<RetentionKeeper['hold']>) {
    return this.#parts.retention.hold(...o)
  }

  releaseHold(...o: Parameters<RetentionKeeper['release']>) {
    return this.#parts.retention.release(...o)
  }

  sweepRetention(...o: Parameters<RetentionKeeper['sweep']>) {
    return this.#parts.retention.sweep(...o)
  }

  verify(...o: Parameters<Verification['verify']>) {
    return this.#parts.verification.verify(...o)
  }

  scrub(...o: Parameters<Verification['scrub']>) {
    return this.#parts.verification.scrub(...o)
  }

  /** Garbage collection; with `dryRun` it says what it would do. `graceMs` unless the store is set to another: 24 hours. */
  gc(o: { readonly actor: string; readonly dryRun?: boolean; readonly graceMs?: number }) {
    const { collection, gcGraceMs } = this.#parts
    const graceMs = o.graceMs ?? gcGraceMs
    return o.dryRun === true ? collection.preview({ graceMs }) : collection.collect({ graceMs, actor: o.actor })
  }

  /** Puts bytes that nothing refers to into open packages, so that none of them is collected before somebody has looked. */
  adoptUnreferenced(o: { readonly actor: string }) {
    return this.#parts.adoption.adopt(o.actor)
  }

  /** What is shared with others, and what others share, step by step. */
  get shares(): Shares {
    return this.#parts.shares
  }

  tailEvents(since: number, o: TailOptions = {}) {
    return this.#parts.log.tail(since, o)
  }

  auditLog(o: AuditOptions = {}) {
    return readAudit(this.#parts.log, this.#parts.limits, o)
  }

  replay(o: { readonly into?: ViewWriter; readonly upTo?: number } = {}) {
    return this.#parts.log.replay(o)
  }

  dumpViews() {
    return this.#parts.log.dump()
  }

  viewStateDigest() {
    return this.#parts.log.viewStateDigest()
  }

  /** Compares the views with what the log says. */
  checkViews() {
    return this.#parts.log.checkViews()
  }

  stats(): Promise<Stats> {
    return readStats(this.#parts.log, this.#parts.plane)
  }

  /** The last event: its number and its time, in milliseconds since the epoch; 0 when there is none. */
  async head(): Promise<{ readonly lastSequence: number; readonly lastCreatedAt: number }> {
    const { lastSequence, lastCreatedAt } = await this.#parts.log.read(readHead)
    return { lastSequence, lastCreatedAt }
  }

  /** Never throws: what is wrong is in the answer. */
  async health(): Promise<RegistryHealth> {
    const { database, plane, log } = this.#parts
    const healthy = await log.read(readHead).then(
      () => true,
      () => false,
    )
    const backends = await Promise.all(plane.listBackends().map((id) => plane.backendHealth(id)))
    const status = !healthy ? 'down' : backends.every((backend) => backend.healthy) ? 'ok' : 'degraded'
    return { status, registryId: this.registryId, database: { engine: database.engine, healthy }, backends }
  }

  /** Ends those who follow the log, and waits for what is under way. Repeating it changes nothing. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    const { slots, log, database, closeStorage } = this.#parts
    await slots.settled()
    await log.close()
    await database.close()
    closeStorage()
  }
}
