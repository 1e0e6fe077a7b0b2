/** Reading stored bytes again and comparing them with the records (06 §13). */
import { setTimeout as pause } from 'node:timers/promises'
import { ArtifactError } from '../artifact-error.ts'
import type { DataPlane, VerifyResult } from '../dataplane/spi.ts'
import type { NewEvent } from '../events/event.ts'
import type { EventLog } from '../events/event-log.ts'
import type { ContentAddress } from '../identity/content-address.ts'
import { checkActor } from '../registry/input.ts'
import {
  type LocationRow,
  listLocationsOfFile,
  listReferences,
  pageLocations,
} from '../registry/locations/statements.ts'
import { requirePackage } from '../registry/package.ts'
import { findFile } from '../registry/statements.ts'
import type { Runtime } from '../runtime.ts'
import type { Healing } from './healing.ts'
import { listBlobs, noteScrubbed, readScrubCursor } from './statements.ts'

export interface VerifiedLocation {
  readonly storageLocationId: string
  readonly fileId: string
  readonly backendId: string
  readonly contentAddress: ContentAddress
  readonly outcome: 'verified' | 'missing' | 'corrupt'
  /** What was missing or corrupt is there again, from another backend. */
  readonly healed: boolean
}

export interface ScrubResult {
  readonly objects: number
  readonly bytes: number
  /** Locations whose outcome is another than before. */
  readonly changed: readonly VerifiedLocation[]
}

type Finding = Pick<VerifiedLocation, 'outcome'> & Pick<VerifyResult, 'actual'>

const pageRows = 200

export class Verification {
  readonly #log: EventLog
  readonly #plane: DataPlane
  readonly #runtime: Runtime

  readonly #healing: Healing

  constructor(o: {
    readonly log: EventLog
    readonly plane: DataPlane
    readonly runtime: Runtime
    readonly healing: Healing
  }) {
    this.#log = o.log
    this.#plane = o.plane
    this.#runtime = o.runtime
    this.#healing = o.healing
  }

  /**
   * Reads every byte of a file, or of all files of a package, and writes down what it finds. What is missing or corrupt is
   * healed, if another backend has it.
   *
   * @throws ArtifactError `package_not_found`, `file_not_found`, `storage_io`
   */
  async verify(
    o: ({ readonly packageId: string } | { readonly fileId: string }) & {
      readonly actor: string
      readonly signal?: AbortSignal
    },
  ): Promise<readonly VerifiedLocation[]> {
    const actor = checkActor(o.actor)
    const verified: VerifiedLocation[] = []
    for await (const location of this.#locations(o)) {
      o.signal?.throwIfAborted()
      const finding = await this.#look(location, o.signal)
      await this.#write([location], finding, actor)
      verified.push(toVerified(location, finding, await this.#heal(location, finding, actor)))
    }
    return verified
  }

  /**
   * Reads objects one after the other, from where the last scrub has come to, and writes down what has changed.
   *
   * @param o `bytesPerSecond` on average; `objectsMax` at which it ends, else after one round
   */
  async scrub(o: {
    readonly bytesPerSecond: number
    readonly objectsMax?: number
    readonly actor: string
    readonly signal?: AbortSignal
  }): Promise<ScrubResult> {
    const actor = checkActor(o.actor)
    const changed: VerifiedLocation[] = []
    const start = await this.#log.read(readScrubCursor)
    let cursor = start
    let objects = 0
    let bytes = 0
    let hasWrapped = start.backendId === ''
    const isDone = () => o.signal?.aborted === true || objects >= (o.objectsMax ?? Number.POSITIVE_INFINITY)
    while (!isDone()) {
      const [blob] = await this.#log.read((session) => listBlobs(session, cursor, 1))
      if (blob === undefined) {
        if (hasWrapped) break
        hasWrapped = true
        cursor = { backendId: '', address: '' }
        continue
      }
      cursor = { backendId: blob.backend_id, address: blob.content_address }
      const read = await this.#scrubObject(cursor, { actor, changed, signal: o.signal })
      objects += 1
      bytes += read
      const isRoundEnd = hasWrapped && start.backendId !== '' && !isBefore(cursor, start)
      if (isRoundEnd) break
      await pause((read / o.bytesPerSecond) * 1000, undefined, { signal: o.signal }).catch(() => undefined)
    }
    return { objects, bytes, changed }
  }

  /**
   * Writes down what was found of a location when it was read for another reason.
   *
   * @returns whether its bytes are there again, from another backend
   */
  async note(location: LocationRow, finding: Finding): Promise<boolean> {
    await this.#write([location], finding, 'local')
    return this.#heal(location, finding, 'local')
  }

  async #heal(location: LocationRow, { outcome }: Finding, actor: string): Promise<boolean> {
    if (outcome === 'verified') return false
    const address = location.content_address as ContentAddress
    return this.#healing.heal({ backendId: location.backend_id, address }, actor)
  }

  /** @returns how many bytes were read */
  async #scrubObject(
    { backendId, address }: { readonly backendId: string; readonly address: string },
    o: { readonly actor: string; readonly changed: VerifiedLocation[]; readonly signal: AbortSignal | undefined },
  ): Promise<number> {
    const locations = await this.#log.read((session) => listReferences(session, backendId, address))
    const [first] = locations
    let bytes = 0
    if (first !== undefined) {
      const finding = await this.#look(first, o.signal)
      bytes = finding.actual?.sizeBytes ?? 0
      const status = finding.outcome === 'verified' ? 'stored' : finding.outcome
      const others = locations.filter((location) => location.status !== status)
      await this.#write(others, finding, o.actor)
      const healed = await this.#heal(first, finding, o.actor)
      o.changed.push(...others.map((location) => toVerified(location, finding, healed)))
    }
    await this.#log.submit({ run: (tx) => noteScrubbed(tx, backendId, address, this.#runtime.now()) })
    return bytes
  }

  async #look(location: LocationRow, signal: AbortSignal | undefined): Promise<Finding> {
    const file = await this.#log.read((session) => findFile(session, location.file_id))
    const { mismatch, actual } = await this.#plane.verifyObject(location.content_address as ContentAddress, {
      backendId: location.backend_id,
      sizeBytes: location.size_bytes,
      ...(file === null ? {} : { sha256: file.digest_sha256 }),
      ...(signal === undefined ? {} : { signal }),
    })
    if (mismatch === null) return { outcome: 'verified', actual }
    return { outcome: mismatch === 'missing' ? 'missing' : 'corrupt', actual }
  }

  async #write(locations: readonly LocationRow[], { outcome, actual }: Finding, actor: string): Promise<void> {
    if (locations.length === 0) return
    const events = locations.map(
      ({ package_id, storage_location_id }): NewEvent => ({
        event_type: 'v1.storage.location_verified',
        subject_kind: 'location',
        subject_id: storage_location_id,
        actor,
        payload: {
          package_id,
          storage_location_id,
          outcome,
          actual_primary: actual?.primary.hex ?? null,
          actual_sha256: actual?.sha256.hex ?? null,
          actual_size_bytes: actual?.sizeBytes ?? null,
        },
      }),
    )
    await this.#log.submit({ run: (tx) => this.#log.write(tx, events) })
  }

  async *#locations(o: { readonly packageId: string } | { readonly fileId: string }): AsyncGenerator<LocationRow> {
    if ('fileId' in o) {
      const locations = await this.#log.read(async (session) => {
        if ((await findFile(session, o.fileId)) === null) throw new ArtifactError('file_not_found')
        return listLocationsOfFile(session, o.fileId)
      })
      yield* locations.filter(({ status }) => status !== 'deleted')
      return
    }
    const { packageId } = o
    await this.#log.read((session) => requirePackage(session, packageId))
    let after = ''
    for (let page: readonly LocationRow[] | null = null; page === null || page.length === pageRows; ) {
      page = await this.#log.read((session) => pageLocations(session, { packageId, after, limit: pageRows }))
      after = page.at(-1)?.storage_location_id ?? after
      yield* page
    }
  }
}

function toVerified(location: LocationRow, { outcome }: Finding, healed: boolean): VerifiedLocation {
  return {
    storageLocationId: location.storage_location_id,
    fileId: location.file_id,
    backendId: location.backend_id,
    contentAddress: location.content_address as ContentAddress,
    outcome,
    healed,
  }
}

function isBefore(
  a: { readonly backendId: string; readonly address: string },
  b: { readonly backendId: string; readonly address: string },
): boolean {
  return a.backendId < b.backendId || (a.backendId === b.backendId && a.address < b.address)
}
