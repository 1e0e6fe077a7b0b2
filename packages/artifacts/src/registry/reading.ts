/** What the store answers to those who only look (06 §11). */
import { isUlid } from '@claudemesh/protocol'
import { ArtifactError } from '../artifact-error.ts'
import { decodeCanonical } from '../canon/cbor.ts'
import { jcs } from '../canon/jcs.ts'
import { manifestBytesMax } from '../canon/value.ts'
import type { Limits } from '../config/limits.ts'
import type { DataPlane } from '../dataplane/spi.ts'
import type { Session } from '../db/spi.ts'
import type { EventLog } from '../events/event-log.ts'
import { findEvent } from '../events/statements.ts'
import { type ContentAddress, parseContentAddress } from '../identity/content-address.ts'
import { normalizeRelativePath } from '../paths/relative-path.ts'
import type { Verification } from '../retention/verification.ts'
import type { ByteRange, StoredObject } from '../storage/spi.ts'
import { checkLimit } from './input.ts'
import { type LocationRow, listLocationsOfFile } from './locations/statements.ts'
import {
  type Package,
  type PackageFile,
  type Retention,
  requirePackage,
  toFile,
  toPackage,
  toRetention,
} from './package.ts'
import {
  type FileRow,
  findFile,
  findFileByKey,
  findRetention,
  listFilesByAddress,
  type PackageFilter,
  pageFiles,
  pagePackages,
} from './statements.ts'

export interface Page<Item> {
  readonly items: readonly Item[]
  /** What to give as `after` for the next page; null: this is the last one. */
  readonly next: string | null
}

export interface ServedFile extends StoredObject {
  readonly file: PackageFile
}

export class Reading {
  readonly #log: EventLog
  readonly #plane: DataPlane
  readonly #limits: Limits
  readonly #verification: Verification

  constructor(o: {
    readonly log: EventLog
    readonly plane: DataPlane
    readonly limits: Limits
    readonly verification: Verification
  }) {
    this.#log = o.log
    this.#plane = o.plane
    this.#limits = o.limits
    this.#verification = o.verification
  }

  /** @throws ArtifactError `package_not_found` */
  async getPackage(packageId: string): Promise<Package & { readonly retention: Retention }> {
    return this.#log.read(async (session) => {
      const found = toPackage(await requirePackage(session, packageId))
      const retention = await findRetention(session, packageId)
      if (retention === null) throw new Error('a package without a decision about its expiry')
      return { ...found, retention: toRetention(retention) }
    })
  }

  /** In the order in which they were made. @throws ArtifactError `invalid_cursor`, `invalid_request` */
  async listPackages(
    o: PackageFilter & { readonly after?: string; readonly limit?: number } = {},
  ): Promise<Page<Package>> {
    const { after = '', limit: asked, ...filter } = o
    if (after !== '' && !isUlid(after)) throw new ArtifactError('invalid_cursor')
    const limit = checkLimit(asked, this.#limits)
    const rows = await this.#log.read((session) => pagePackages(session, { filter, after, limit: limit + 1 }))
    return toPage(rows, limit, toPackage, ({ package_id }) => package_id)
  }

  /** Live files in the order of their paths' bytes. @throws ArtifactError `package_not_found`, `invalid_request` */
  async listFiles(
    packageId: string,
    o: { readonly after?: string; readonly limit?: number } = {},
  ): Promise<Page<PackageFile>> {
    const { after = '' } = o
    if (typeof after !== 'string' || after.includes('\u0000')) throw new ArtifactError('invalid_cursor')
    const limit = checkLimit(o.limit, this.#limits)
    const rows = await this.#log.read(async (session) => {
      await requirePackage(session, packageId)
      return pageFiles(session, { packageId, after, limit: limit + 1 })
    })
    return toPage(rows, limit, toFile, ({ relative_path }) => relative_path)
  }

  /** @throws ArtifactError `file_not_found` */
  async findFile(fileId: string): Promise<PackageFile> {
    return toFile(await this.#log.read((session) => requireFile(session, fileId)))
  }

  /**
   * The file under a path of a package, or one with this content.
   *
   * @throws ArtifactError `file_not_found`, `package_not_found`, `invalid_path`, `invalid_content_address`
   */
  async resolve(
    o: { readonly packageId: string; readonly path: string } | { readonly address: string },
  ): Promise<PackageFile> {
    if ('address' in o) {
      const address = parseContentAddress(o.address)
      const files = await this.#log.read((session) => listFilesByAddress(session, address, 100))
      const found = files.find(({ state }) => state === 'live') ?? files[0]
      if (found === undefined) throw new ArtifactError('file_not_found')
      return toFile(found)
    }
    return this.#log.read(async (session) => {
      const { path_policy } = await requirePackage(session, o.packageId)
      const { path_key, relative_path } = normalizeRelativePath(o.path, path_policy)
      const found = await findFileByKey(session, o.packageId, path_key)
      if (found === null || found.relative_path !== relative_path) throw new ArtifactError('file_not_found')
      return toFile(found)
    })
  }

  /**
   * The bytes of a file. All of them are checked while they are read; the last 64 KiB come only if they are right.
   *
   * @throws ArtifactError `file_not_found`, `restore_required`, `object_missing`, `range_not_satisfiable`, `storage_io`;
   *   `object_corrupt`, also from the body
   */
  async getFile(
    fileId: string,
    o: { readonly range?: ByteRange; readonly signal?: AbortSignal } = {},
  ): Promise<ServedFile> {
    const { file, locations } = await this.#log.read(async (session) => {
      const file = await requireFile(session, fileId)
      return { file, locations: await listLocationsOfFile(session, fileId) }
    })
    const location = chooseLocation(locations)
    const serve = async () => {
      const address = file.content_address as ContentAddress
      const served = await this.#plane.serveObject(address, { ...o, backendId: location.backend_id })
      return { ...served, file: toFile(file), body: this.#watched(served.body, location) }
    }
    try {
      return await serve()
    } catch (error) {
      if (!(error instanceof ArtifactError) || error.code !== 'object_not_found') throw error
      if (await this.#verification.note(location, { outcome: 'missing', actual: null })) return serve()
      throw new ArtifactError('object_missing', { cause: error })
    }
  }

  /**
   * The manifest of a finalized package: as it is in the log, or as canonical JSON.
   *
   * @throws ArtifactError `package_not_found`, `not_finalized`
   */
  async getManifestBytes(packageId: string, form: 'cbor' | 'json'): Promise<Uint8Array> {
    const event = await this.#log.read(async (session) => {
      await requirePackage(session, packageId)
      return findEvent(session, { kind: 'package', id: packageId, type: 'v1.package.finalized' })
    })
    if (event === null) throw new ArtifactError('not_finalized')
    return form === 'cbor' ? event.payload : jcs(decodeCanonical(event.payload, { maxBytes: manifestBytesMax }))
  }

  /** Marks a location whose bytes turn out to be others than they should be. */
  async *#watched(body: AsyncIterable<Uint8Array>, location: LocationRow): AsyncGenerator<Uint8Array> {
    try {
      yield* body
    } catch (error) {
      if (error instanceof ArtifactError && error.code === 'object_corrupt') {
        await this.#verification.note(location, { outcome: 'corrupt', actual: null })
      }
      throw error
    }
  }
}

/** @throws ArtifactError `file_not_found` */
async function requireFile(session: Session, fileId: string): Promise<FileRow> {
  const row = typeof fileId === 'string' ? await findFile(session, fileId) : null
  if (row === null) throw new ArtifactError('file_not_found')
  return row
}

/** Where to read from. @throws ArtifactError `file_not_found`, `restore_required`, `object_missing`, `object_corrupt` */
function chooseLocation(locations: readonly LocationRow[]): LocationRow {
  const isReadable = ({ retrieval_tier, restore_status }: LocationRow) =>
    retrieval_tier === 'hot' || retrieval_tier === 'warm' || restore_status === 'available'
  const stored = locations.filter(({ status }) => status === 'stored')
  const readable = stored.find(isReadable)
  if (readable !== undefined) return readable
  if (stored.length > 0) throw new ArtifactError('restore_required')
  if (locations.some(({ status }) => status === 'corrupt')) throw new ArtifactError('object_corrupt')
  if (locations.some(({ status }) => status === 'missing')) throw new ArtifactError('object_missing')
  throw new ArtifactError('file_not_found', { detail: 'The bytes of the file were garbage collected.' })
}

/** One row more was read than the page has, to know whether there is a next one. */
export function toPage<Row, Item>(
  rows: readonly Row[],
  limit: number,
  toItem: (row: Row) => Item,
  cursorOf: (row: Row) => string,
): Page<Item> {
  const shown = rows.slice(0, limit)
  const last = shown.at(-1)
  return { items: shown.map(toItem), next: rows.length > limit && last !== undefined ? cursorOf(last) : null }
}
