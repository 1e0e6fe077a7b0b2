/**
 * The store of artifacts (06 §16): one method per route.
 *
 * 1. What makes something carries an idempotency key, the caller's or one made here, and every repeat the same one.
 * 2. Bytes go both ways as streams, in bounded memory, and are compared with the length and the digest that come with them.
 */
import type {
  ArtifactCollection,
  ArtifactEvent,
  ArtifactEventList,
  ArtifactFile,
  ArtifactPackage,
  ArtifactRetention,
  ArtifactStats,
  ArtifactsHealth,
  ExistingArtifactFile,
  ExportedImage,
  ExportImageRequest,
  ExtensionRequest,
  FileList,
  FileListQuery,
  FinalizedPackage,
  FinalizeRequest,
  HeldPackage,
  ImportedImages,
  ImportImagesRequest,
  IngestedArtifactFile,
  JudgedSignatures,
  NewArtifactPackage,
  PackageList,
  PackageListQuery,
  ReplayedLog,
  ScrubbedObjects,
  ScrubRequest,
  ShownPackage,
  SignedArtifactPackage,
  SweptPackages,
  VerifiedLocations,
  VerifyRequest,
} from '@claudemesh/protocol/artifacts'
import { type ArtifactUpload, reprDigest } from './artifact-upload.ts'
import { type Download, openDownload } from './download.ts'
import { type FollowOptions, followStream } from './events.ts'
import { eachRow } from './pages.ts'
import type { ClientRuntime } from './runtime.ts'
import type { Call, Transport } from './transport.ts'

/** `meta.<key>` selects packages by their metadata. */
export type PackageQuery = PackageListQuery & { readonly [member: `meta.${string}`]: string }

export interface CallOptions {
  readonly signal?: AbortSignal | undefined
}

/** Looking after a store takes as long as there is to look at; whoever has waited enough ends the call. */
const longWorkMsMax = 24 * 3_600_000
/** Until all bytes of a file are on the disk and in the log. */
const storeMsMax = 10 * 60_000

const base = '/v1/artifacts'

export class Artifacts {
  readonly #transport: Transport
  readonly #runtime: ClientRuntime
  readonly #nextId: () => string

  constructor(transport: Transport, o: { readonly runtime: ClientRuntime; readonly nextId: () => string }) {
    this.#transport = transport
    this.#runtime = o.runtime
    this.#nextId = o.nextId
  }

  /** How the store is; also an answer when it is down. */
  async health(): Promise<ArtifactsHealth> {
    return await this.#get(`${base}/health`)
  }

  async createPackage(
    request: NewArtifactPackage,
    o: { readonly idempotencyKey?: string } = {},
  ): Promise<ArtifactPackage> {
    const headers = { 'idempotency-key': o.idempotencyKey ?? this.#nextId() }
    return await this.#call({ method: 'POST', path: `${base}/packages`, body: request, headers, repeatable: true })
  }

  /** One page of the packages, in the order in which they were made. */
  async packages(query: PackageQuery = {}): Promise<PackageList> {
    return await this.#get(`${base}/packages`, query)
  }

  /** Every package that the query selects, fetched page by page. */
  eachPackage(query: PackageQuery = {}): AsyncGenerator<ArtifactPackage, void, undefined> {
    return eachRow(async (after) => {
      const page = await this.packages(after === null ? query : { ...query, after })
      return { rows: page.packages, next: page.next }
    })
  }

  async package(id: string): Promise<ShownPackage> {
    return await this.#get(packagePath(id))
  }

  /** Sends the bytes of a file into an open package. */
  async putFile(packageId: string, file: ArtifactUpload, o: CallOptions = {}): Promise<IngestedArtifactFile> {
    const path = file.relativePath.split('/').map(encodeURIComponent).join('/')
    return await this.#call({
      method: 'PUT',
      path: `${packagePath(packageId)}/files/${path}`,
      query: file.replace === true ? { replace: true } : {},
      headers: {
        'content-type': file.mediaType ?? 'application/octet-stream',
        'idempotency-key': file.idempotencyKey ?? this.#nextId(),
        ...(file.sizeBytes === undefined ? {} : { 'content-length': String(file.sizeBytes) }),
        ...(file.sha256 === undefined ? {} : { 'repr-digest': reprDigest(file.sha256) }),
      },
      source: file.open,
      repeatable: file.reopens,
      patienceMs: storeMsMax,
      signal: o.signal,
    })
  }

  /** Puts a file into an open package whose bytes are in the store already. */
  async addExisting(packageId: string, file: ExistingArtifactFile): Promise<IngestedArtifactFile> {
    const path = `${packagePath(packageId)}/files`
    return await this.#once({ method: 'POST', path, body: file, patienceMs: storeMsMax })
  }

  /** One page of the files of a package, in the order of their paths' bytes. */
  async files(packageId: string, query: FileListQuery = {}): Promise<FileList> {
    return await this.#get(`${packagePath(packageId)}/files`, query)
  }

  /** Every file of a package, fetched page by page. */
  eachFile(packageId: string): AsyncGenerator<ArtifactFile, void, undefined> {
    return eachRow(async (after) => {
      const page = await this.files(packageId, after === null ? { limit: 1000 } : { after, limit: 1000 })
      return { rows: page.files, next: page.next }
    })
  }

  async file(id: string): Promise<ArtifactFile> {
    return await this.#get(filePath(id))
  }

  /** Takes a file out of an open package. */
  async removeFile(id: string, o: { readonly reason?: string } = {}): Promise<ArtifactFile> {
    return await this.#once({ method: 'DELETE', path: filePath(id), query: o })
  }

  /** Seals a package, for ever. */
  async finalize(id: string, request: FinalizeRequest = {}): Promise<FinalizedPackage> {
    const path = `${packagePath(id)}/finalize`
    return await this.#call({ method: 'POST', path, body: request, repeatable: true, patienceMs: longWorkMsMax })
  }

  /** Gives an open package up. */
  async abort(id: string, o: { readonly reason?: string } = {}): Promise<ShownPackage> {
    return await this.#once({ method: 'POST', path: `${packagePath(id)}/abort`, body: o })
  }

  /** The manifest of a finalized package: as it is in the log, or as canonical JSON. */
  async manifest(id: string, form: 'cbor' | 'json', o: CallOptions = {}): Promise<Download> {
    const path = `${packagePath(id)}/${form === 'cbor' ? 'manifest' : 'manifest.json'}`
    return await openDownload(this.#transport, { path, ...o })
  }

  /** Signs a finalized package with the key of the daemon's member. */
  async sign(id: string): Promise<SignedArtifactPackage> {
    return await this.#call({ method: 'POST', path: `${packagePath(id)}/signatures`, repeatable: true })
  }

  /** Each signature of a finalized package, as the daemon judges it now. */
  async signatures(id: string): Promise<JudgedSignatures> {
    return await this.#get(`${packagePath(id)}/signatures`)
  }

  /** The manifest and its signatures as a DSSE envelope. */
  async envelope(id: string, o: CallOptions = {}): Promise<Download> {
    return await openDownload(this.#transport, { path: `${packagePath(id)}/signatures/envelope`, ...o })
  }

  async downloadFile(id: string, o: CallOptions = {}): Promise<Download> {
    return await openDownload(this.#transport, { path: `${filePath(id)}/download`, ...o })
  }

  /** The bytes with a content address. */
  async downloadContent(address: string, o: CallOptions = {}): Promise<Download> {
    return await openDownload(this.#transport, { path: `${base}/blobs/${encodeURIComponent(address)}`, ...o })
  }

  /** Writes a finalized package into a new directory of the daemon's host, as an OCI image layout. */
  async exportImage(id: string, request: ExportImageRequest): Promise<ExportedImage> {
    const path = `${packagePath(id)}/image`
    return await this.#call({ method: 'POST', path, body: request, repeatable: false, patienceMs: longWorkMsMax })
  }

  /** Makes a package of each image of a layout. Not repeated by itself: a second call would make others. */
  async importImages(request: ImportImagesRequest, o: CallOptions = {}): Promise<ImportedImages> {
    const path = `${base}/images`
    return await this.#call({ method: 'POST', path, body: request, repeatable: false, patienceMs: longWorkMsMax, ...o })
  }

  async extendRetention(packageId: string, request: ExtensionRequest): Promise<ArtifactRetention> {
    const path = `${packagePath(packageId)}/retention/extensions`
    return await this.#once({ method: 'POST', path, body: request })
  }

  /** Keeps a package until the hold is released. */
  async hold(packageId: string, request: { readonly reason: string }): Promise<HeldPackage> {
    return await this.#once({ method: 'POST', path: `${packagePath(packageId)}/retention/holds`, body: request })
  }

  async release(holdId: string, o: { readonly reason: string }): Promise<void> {
    const path = `${base}/holds/${encodeURIComponent(holdId)}`
    await this.#once({ method: 'DELETE', path, query: o })
  }

  /** Marks packages that are past their expiry; nothing is deleted. */
  async sweep(o: CallOptions = {}): Promise<SweptPackages> {
    return await this.#maintain('sweep', undefined, o)
  }

  /** Deletes bytes to which nothing refers. */
  async gc(request: { readonly dry_run?: boolean } = {}, o: CallOptions = {}): Promise<ArtifactCollection> {
    return await this.#maintain('gc', request, o)
  }

  /** Reads every byte of a package or a file again. */
  async verify(request: VerifyRequest, o: CallOptions = {}): Promise<VerifiedLocations> {
    return await this.#maintain('verify', request, o)
  }

  /** Reads stored bytes again, from where the last scrub came to. */
  async scrub(request: ScrubRequest = {}, o: CallOptions = {}): Promise<ScrubbedObjects> {
    return await this.#maintain('scrub', request, o)
  }

  /** Computes what can be asked anew from the log; with `up_to` apart from what is there. */
  async replay(request: { readonly up_to?: number } = {}, o: CallOptions = {}): Promise<ReplayedLog> {
    return await this.#maintain('replay', request, o)
  }

  async stats(o: CallOptions = {}): Promise<ArtifactStats> {
    const call: Call = { method: 'GET', path: `${base}/stats`, repeatable: true, patienceMs: longWorkMsMax, ...o }
    return await this.#call(call)
  }

  /** One page of the log: the events after `since`. */
  async events(query: { readonly since?: number; readonly limit?: number } = {}): Promise<ArtifactEventList> {
    return await this.#get(`${base}/events`, query)
  }

  /** The log from the event after `since` on, and what is added to it, for ever; also across restarts of the daemon. */
  async *followEvents(o: Omit<FollowOptions, 'since'> & { readonly since: number }): AsyncGenerator<ArtifactEvent> {
    const stream = followStream(this.#transport, this.#runtime, `${base}/events`, { ...o, since: String(o.since) })
    for await (const { data } of stream) yield JSON.parse(data) as ArtifactEvent
  }

  async #maintain<Answer>(step: string, body: unknown, o: CallOptions): Promise<Answer> {
    const path = `${base}/maintenance/${step}`
    return await this.#call({ method: 'POST', path, body, repeatable: true, patienceMs: longWorkMsMax, ...o })
  }

  async #get<Answer>(path: string, query: Call['query'] = {}): Promise<Answer> {
    return await this.#call({ method: 'GET', path, query, repeatable: true })
  }

  /** Under a key of its own, by which the daemon knows it again: so it can be repeated. */
  async #once<Answer>(call: Omit<Call, 'headers' | 'repeatable'>): Promise<Answer> {
    return await this.#call({ ...call, headers: { 'idempotency-key': this.#nextId() }, repeatable: true })
  }

  /** The daemon made the answer from the schema of the same route. */
  async #call<Answer>(call: Call): Promise<Answer> {
    return (await this.#transport.call(call)) as Answer
  }
}

function packagePath(id: string): string {
  return `${base}/packages/${encodeURIComponent(id)}`
}

function filePath(id: string): string {
  return `${base}/files/${encodeURIComponent(id)}`
}
