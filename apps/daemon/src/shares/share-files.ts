/**
 * Sharing, as it is asked for (06 §16): what is to be shared goes into the store, and a share of it is created. From the
 * answer on the share is kept, and goes out by itself.
 */
import { join } from 'node:path'
import type { AskedOnce, IngestedFile, Registry, Share, ShareFilter } from '@claudemesh/artifacts'
import { type Destination, type JsonObject, MeshError } from '@claudemesh/protocol'
import type { ShareRequest } from '@claudemesh/protocol/artifacts'
import { crashPoint } from '@claudemesh/storage'
import { ingestFilesAtOnce, shareLifeSecondsDefault } from '../limits.ts'
import type { Runtime } from '../runtime.ts'
import { findLocalPath, listFiles, readLocalFile } from './local-path.ts'
import { loadLibrary, type ShareRoom, type ShareStore } from './share-store.ts'

export interface ShareFilesOptions {
  readonly store: ShareStore
  readonly room: ShareRoom
  /** The directory of all daemons of this user. */
  readonly home: string
  /** @throws MeshError for a name that leads nowhere */
  readonly resolve: (to: string) => Promise<Destination>
  /** Why nothing can be shared by way of the broker that there is; null: it can, or it is not known. */
  readonly relayFault: () => MeshError | null
  /** Member id of this host. */
  readonly selfId: string
  readonly runtime: Runtime
  /** There is a new share. */
  readonly onCreated: () => void
}

/** A share that was created, and the digest of what is shared. */
export interface CreatedShare {
  readonly share: Share
  readonly sha256: string
}

/** What a request says beside what is shared. */
export type ShareWishes = Omit<ShareRequest, 'path' | 'content_address' | 'file_id' | 'package_id'>

/** Bytes of a request that are themselves what is shared. */
export interface SharedBody {
  readonly source: AsyncIterable<Uint8Array>
  readonly mediaType: string
  readonly signal: AbortSignal
}

type What = { readonly fileId: string } | { readonly packageId: string }

export class ShareFiles {
  readonly #o: ShareFilesOptions

  constructor(o: ShareFilesOptions) {
    this.#o = o
  }

  /**
   * Shares what a request names.
   *
   * @param key the caller's idempotency key, or null
   * @throws MeshError `path_forbidden`, `invalid_path`, `invalid_request`, what a name that leads nowhere is answered, and
   *   what the store throws; nothing was shared then
   */
  share(request: ShareRequest, key: string | null): Promise<CreatedShare> {
    return this.#share(request, key, () => this.#takeIn(request))
  }

  /** Shares the body of a request. @throws as `share`; `idempotency_key_reused` for other bytes under the same key */
  async shareBody(wishes: ShareWishes, key: string | null, body: SharedBody): Promise<CreatedShare> {
    const name = wishes.name ?? 'file'
    let isRead = false
    const created = await this.#share({ ...wishes, name }, key, () => {
      isRead = true
      const { source, mediaType, signal } = body
      return this.#ingestOne({ name, mediaType, source, signal, retentionClass: wishes.retention_class })
    })
    if (isRead) return created
    // The first answer is for the same bytes only.
    const { digestStream } = await loadLibrary()
    const { sha256 } = await digestStream(body.source, { signal: body.signal })
    if (sha256.hex === created.sha256) return created
    throw new MeshError('idempotency_key_reused', { detail: 'The key was used for other bytes.' })
  }

  list(o: ShareFilter & { readonly after?: string; readonly limit?: number }) {
    return this.#o.store.use(({ shares }) => shares.list(o))
  }

  /** Does nothing more for a share. @throws MeshError `share_not_found`, `invalid_request`: it is fetched */
  revoke(shareId: string, reason: string | undefined): Promise<Share> {
    const { store, selfId: actor } = this.#o
    return store.use(async ({ shares }) => {
      await shares.revoke(shareId, { actor, ...(reason === undefined ? {} : { reason }) })
      return shares.find(shareId)
    })
  }

  async #share(
    wishes: ShareWishes & JsonObject,
    key: string | null,
    takeIn: () => Promise<What>,
  ): Promise<CreatedShare> {
    const { store, runtime, selfId: actor, onCreated } = this.#o
    const { name, message, expires_in: lifeSeconds = shareLifeSecondsDefault } = wishes
    const { client_message_id: _, ...request } = wishes
    const once: AskedOnce | null = key === null ? null : { key, request }
    const answered = once === null ? null : await store.use(({ shares }) => shares.findAnswered(once))
    if (answered !== null) return this.#describe(answered)

    if (name !== undefined) await checkFileName(name)
    const fault = this.#o.relayFault()
    if (fault !== null) throw fault
    const peer = peerOf(await this.#o.resolve(wishes.to))
    const what = await takeIn()
    crashPoint('daemon.share.taken-in')
    const share = await store.use(({ shares }) =>
      shares.create({
        what,
        peer,
        expiresAt: runtime.now() + lifeSeconds * 1000,
        actor,
        ...(name === undefined ? {} : { name }),
        ...(message === undefined ? {} : { message }),
        ...(once === null ? {} : { once }),
      }),
    )
    crashPoint('daemon.share.created')
    onCreated()
    return this.#describe(share)
  }

  async #describe(share: Share): Promise<CreatedShare> {
    const { content } = await this.#o.store.use(({ shares }) => shares.outgoing(share.shareId))
    return { share, sha256: content.sha256 }
  }

  async #takeIn(request: ShareRequest): Promise<What> {
    const { path, content_address: address, file_id: fileId, package_id: packageId } = request
    const named = [path, address, fileId, packageId].filter((each) => each !== undefined)
    if (named.length !== 1) {
      throw new MeshError('invalid_request', {
        detail: 'Exactly one of path, content_address, file_id and package_id says what is shared',
      })
    }
    if (fileId !== undefined) return { fileId }
    if (packageId !== undefined) return { packageId }
    if (address !== undefined) return { fileId: (await this.#use((registry) => registry.resolve({ address }))).fileId }
    return this.#takeInPath(path ?? '', request)
  }

  async #takeInPath(
    asked: string,
    { name, retention_class: retentionClass }: Pick<ShareRequest, 'name' | 'retention_class'>,
  ): Promise<What> {
    const local = await findLocalPath({ path: asked, home: this.#o.home })
    const mediaType = 'application/octet-stream'
    if (local.kind === 'file') {
      const source = readLocalFile(local.path)
      return this.#ingestOne({ name: name ?? local.name, mediaType, source, retentionClass })
    }
    const files = await listFiles(local.path)
    const packageId = await this.#fill({ name: name ?? local.name, retentionClass }, async (packageId) => {
      for (let at = 0; at < files.length; at += ingestFilesAtOnce) {
        const drafts = files.slice(at, at + ingestFilesAtOnce).map((relativePath) => {
          const source = this.#o.room.within(readLocalFile(join(local.path, relativePath)))
          return { relativePath, mediaType, source, actor: this.#o.selfId }
        })
        const outcomes = await this.#use((registry) => registry.ingestMany(packageId, drafts))
        for (const outcome of outcomes) {
          if (outcome.status === 'rejected') throw outcome.reason
          this.#noteTaken(outcome.value)
        }
      }
    })
    return { packageId }
  }

  async #ingestOne(o: {
    readonly name: string
    readonly mediaType: string
    readonly source: AsyncIterable<Uint8Array>
    readonly retentionClass: string | undefined
    readonly signal?: AbortSignal
  }): Promise<What> {
    const { name, mediaType, source, signal } = o
    let fileId = ''
    await this.#fill(o, async (packageId) => {
      const place = { relativePath: name, mediaType, actor: this.#o.selfId }
      const bounded = this.#o.room.within(source)
      const draft = { ...place, source: bounded, ...(signal === undefined ? {} : { signal }) }
      const ingested = await this.#use((registry) => registry.ingestFile(packageId, draft))
      this.#noteTaken(ingested)
      fileId = ingested.fileId
    })
    return { fileId }
  }

  /** Makes a finalized package; when it cannot be filled it is given up. @returns its id */
  async #fill(
    { name, retentionClass = 'transient' }: { readonly name: string; readonly retentionClass: string | undefined },
    fill: (packageId: string) => Promise<void>,
  ): Promise<string> {
    const actor = this.#o.selfId
    const { packageId } = await this.#use((registry) =>
      registry.createPackage({ name, producer: actor, retentionClass, actor }),
    )
    try {
      await fill(packageId)
      await this.#use((registry) => registry.finalizePackage(packageId, { actor, allowEmpty: true }))
      return packageId
    } catch (error) {
      await this.#use((registry) => registry.abortPackage(packageId, { actor, reason: 'it could not be taken in' }))
      throw error
    }
  }

  #noteTaken({ deduplicated, sizeBytes }: IngestedFile): void {
    if (!deduplicated) this.#o.room.taken(sizeBytes)
  }

  #use<T>(run: (registry: Registry) => Promise<T>): Promise<T> {
    return this.#o.store.use(run)
  }
}

/** @throws MeshError `invalid_path`, `invalid_request` */
async function checkFileName(name: string): Promise<void> {
  const { normalizeRelativePath } = await loadLibrary()
  if (normalizeRelativePath(name, 'portable').relative_path.includes('/')) {
    throw new MeshError('invalid_request', {
      detail: 'The name is that of a file, not a path',
      data: { field: 'name' },
    })
  }
}

/** @throws MeshError `destination_unsupported` */
function peerOf({ kind, ref }: Destination): string {
  if (kind === 'dm') return ref
  if (kind === 'topic') return `#${ref}`
  throw new MeshError('destination_unsupported', {
    detail: 'A share is for a member or a topic: who will take work from a queue is not known when it is uploaded',
    data: { field: 'to' },
  })
}
