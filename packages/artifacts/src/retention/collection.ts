/**
 * Garbage collection (06 §13). Nothing here deletes bytes that some package refers to:
 *
 * 1. A package that may go releases its locations in events. The last location of an object dooms the object, in the same
 *    transaction.
 * 2. A doomed object is deleted in a second transaction, one object each, under the lock of its address, if there is still
 *    no reference. An ingest of equal bytes has that lock when it commits, and publishes the bytes again if they are gone.
 * 3. What a killed ingest has left is found by listing the backend, and doomed when it is older than the grace.
 * 4. An object is doomed, durably, before it is deleted: who is killed in between has committed no count of it, and an ingest
 *    that found the bytes before sees by this that they may be gone.
 *
 * A kill anywhere leaves bytes, never a reference without them; the next collection goes on.
 */
import { crashPoint } from '@claudemesh/storage'
import type { DataPlane } from '../dataplane/spi.ts'
import type { Tx } from '../db/spi.ts'
import type { NewEvent } from '../events/event.ts'
import type { EventLog } from '../events/event-log.ts'
import type { ContentAddress } from '../identity/content-address.ts'
import { checkActor } from '../registry/input.ts'
import { type LocationRow, pageLocations } from '../registry/locations/statements.ts'
import { noteDeletion } from '../registry/statements.ts'
import type { Runtime } from '../runtime.ts'
import {
  countReferences,
  doom,
  findBlob,
  forgetBlob,
  isCollectable,
  isReferenced,
  isReferencedElsewhere,
  listCollectable,
  listDoomed,
  spare,
} from './statements.ts'

export interface CollectedObject {
  readonly backendId: string
  readonly contentAddress: ContentAddress
  readonly sizeBytes: number
}

export interface Collection {
  /** Ids of packages whose locations were released. */
  readonly packages: readonly string[]
  /** Objects whose bytes were deleted. */
  readonly objects: readonly CollectedObject[]
}

/** Locations that are released in one transaction; each is an event. */
const locationsMax = 100
const pageRows = 100

export class GarbageCollection {
  readonly #log: EventLog
  readonly #plane: DataPlane
  readonly #runtime: Runtime

  constructor(o: { readonly log: EventLog; readonly plane: DataPlane; readonly runtime: Runtime }) {
    this.#log = o.log
    this.#plane = o.plane
    this.#runtime = o.runtime
  }

  /**
   * Releases what packages that may go hold, and deletes what nothing refers to.
   *
   * @param o `graceMs`: how old an object must be that no package ever referred to
   */
  async collect(o: { readonly graceMs: number; readonly actor: string }): Promise<Collection> {
    const actor = checkActor(o.actor)
    const packages: string[] = []
    for await (const packageId of this.#collectable()) {
      if (await this.#collectPackage(packageId, actor)) packages.push(packageId)
    }
    const objects = [...(await this.#deleteDoomed()), ...(await this.#deleteUnreferenced(o.graceMs))]
    return { packages, objects }
  }

  /** What `collect` would do, changing nothing. */
  async preview(o: { readonly graceMs: number }): Promise<Collection> {
    const packages: string[] = []
    for await (const packageId of this.#collectable()) packages.push(packageId)
    const released = await this.#countReleased(packages)
    const objects: CollectedObject[] = []
    for (const backendId of this.#plane.listBackends()) {
      for await (const object of this.#plane.listObjects(backendId)) {
        const count = released.get(`${backendId} ${object.address}`) ?? 0
        const wouldGo = await this.#log.read(async (session) => {
          const references = await countReferences(session, backendId, object.address)
          if (references > count) return false
          const blob = await findBlob(session, backendId, object.address)
          return (
            count > 0 || blob?.doomed_at != null || this.#isPastGrace(o.graceMs, object.storedAt, blob?.last_put_at)
          )
        })
        if (wouldGo) objects.push({ backendId, contentAddress: object.address, sizeBytes: object.size })
      }
    }
    return { packages, objects }
  }

  async *#collectable(): AsyncGenerator<string> {
    let after = ''
    for (let page: readonly string[] | null = null; page === null || page.length === pageRows; ) {
      page = await this.#log.read((session) => listCollectable(session, after, pageRows))
      after = page.at(-1) ?? after
      yield* page
    }
  }

  /** @returns false: it may not go any more */
  async #collectPackage(packageId: string, actor: string): Promise<boolean> {
    for (;;) {
      const locations = await this.#log.read((session) =>
        pageLocations(session, { packageId, after: '', limit: locationsMax }),
      )
      const isLast = locations.length < locationsMax
      const isReleased = await this.#log.submit({
        addresses: locations.map(({ content_address }) => content_address as ContentAddress),
        packageIds: [packageId],
        run: (tx) => this.#release(tx, { packageId, locations, isLast, actor }),
      })
      crashPoint('artifacts.gc.released')
      if (!isReleased) return false
      if (isLast) return true
    }
  }

  async #release(
    tx: Tx,
    o: {
      readonly packageId: string
      readonly locations: readonly LocationRow[]
      readonly isLast: boolean
      readonly actor: string
    },
  ): Promise<boolean> {
    // Held, extended or collected by somebody else since it was looked at.
    if (!(await isCollectable(tx, o.packageId))) return false
    const now = this.#runtime.now()
    for (const location of o.locations) {
      const isDoomed = !(await isReferencedElsewhere(tx, location))
      if (isDoomed) await doom(tx, location.backend_id, location.content_address, now)
      // One by one: whether the next one is the last of its object depends on this one.
      await this.#log.write(tx, [deletedEvent(location, { actor: o.actor, isDoomed })])
    }
    if (o.isLast) {
      const subject = { subject_kind: 'package' as const, subject_id: o.packageId, actor: o.actor }
      const payload = { package_id: o.packageId }
      await this.#log.write(tx, [{ event_type: 'v1.package.garbage_collected', ...subject, payload }])
    }
    return true
  }

  async #deleteDoomed(): Promise<readonly CollectedObject[]> {
    const deleted: CollectedObject[] = []
    let after = { backendId: '', address: '' }
    for (let isMore = true; isMore; ) {
      const page = await this.#log.read((session) => listDoomed(session, after, pageRows))
      for (const { backend_id, content_address } of page) {
        after = { backendId: backend_id, address: content_address }
        const address = content_address as ContentAddress
        const object = await this.#delete(backend_id, address)
        if (object !== null) deleted.push(object)
      }
      isMore = page.length === pageRows
    }
    return deleted
  }

  async #deleteUnreferenced(graceMs: number): Promise<readonly CollectedObject[]> {
    const deleted: CollectedObject[] = []
    for (const backendId of this.#plane.listBackends()) {
      for await (const { address, storedAt } of this.#plane.listObjects(backendId)) {
        if (await this.#log.read((session) => isReferenced(session, backendId, address))) continue
        await this.#doomGarbage({ backendId, address, storedAt, graceMs })
        const object = await this.#delete(backendId, address)
        if (object !== null) deleted.push(object)
      }
    }
    return deleted
  }

  /** Dooms an object that nothing refers to, if it is old enough: nobody relies on one that is doomed. */
  async #doomGarbage(o: {
    readonly backendId: string
    readonly address: ContentAddress
    readonly storedAt: number
    readonly graceMs: number
  }): Promise<void> {
    const { backendId, address } = o
    await this.#log.submit({
      addresses: [address],
      run: async (tx) => {
        const blob = await findBlob(tx, backendId, address)
        if (!this.#isPastGrace(o.graceMs, o.storedAt, blob?.last_put_at)) return
        if (!(await isReferenced(tx, backendId, address))) await doom(tx, backendId, address, this.#runtime.now())
      },
    })
  }

  /** Deletes an object under the lock of its address, if nothing refers to it and it is doomed still. */
  #delete(backendId: string, address: ContentAddress): Promise<CollectedObject | null> {
    return this.#log.alone({
      addresses: [address],
      run: async (tx) => {
        // First, as whoever holds up deletions may be about to refer to it.
        await noteDeletion(tx)
        if (await isReferenced(tx, backendId, address)) {
          await spare(tx, backendId, address)
          return null
        }
        if ((await findBlob(tx, backendId, address))?.doomed_at == null) return null
        const head = await this.#plane.headObject(address, backendId)
        crashPoint('artifacts.gc.locked')
        await this.#plane.deleteObject(address, backendId)
        crashPoint('artifacts.gc.deleted')
        await forgetBlob(tx, backendId, address)
        return head === null ? null : { backendId, contentAddress: address, sizeBytes: head.size }
      },
    })
  }

  /** How many locations of each object the packages would release. */
  async #countReleased(packages: readonly string[]): Promise<Map<string, number>> {
    const released = new Map<string, number>()
    for (const packageId of packages) {
      let after = ''
      for (let page: readonly LocationRow[] | null = null; page === null || page.length === pageRows; ) {
        page = await this.#log.read((session) => pageLocations(session, { packageId, after, limit: pageRows }))
        after = page.at(-1)?.storage_location_id ?? after
        for (const { backend_id, content_address } of page) {
          const key = `${backend_id} ${content_address}`
          released.set(key, (released.get(key) ?? 0) + 1)
        }
      }
    }
    return released
  }

  #isPastGrace(graceMs: number, storedAt: number, lastPutAt = 0): boolean {
    return Math.max(storedAt, lastPutAt) <= this.#runtime.now() - graceMs
  }
}

function deletedEvent(
  location: LocationRow,
  { actor, isDoomed }: { readonly actor: string; readonly isDoomed: boolean },
): NewEvent {
  const { package_id, storage_location_id, backend_id, content_address } = location
  return {
    event_type: 'v1.storage.location_deleted',
    subject_kind: 'location',
    subject_id: storage_location_id,
    actor,
    payload: { package_id, storage_location_id, backend_id, content_address, object_deleted: isDoomed },
  }
}
