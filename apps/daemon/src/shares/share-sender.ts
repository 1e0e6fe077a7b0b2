/**
 * Brings shares to those they are for (06 §17):
 *
 *     share.created > all ciphertext is at the relay > share.uploaded > the outbox has the message > share.sent
 *
 * 1. It goes on from the last step that the log has. A step that was done and not recorded is done again and changes
 *    nothing: the relay has the same blobs, and the outbox the message under the same id, `share-<share id>`.
 * 2. Shares go one after the other, in the order of their ids. One that fails for now lets the others go first.
 * 3. What cannot succeed any more ends as revoked, with the reason. That its time is over is such a reason.
 */
import type { OutgoingShare, Share, ShareStatus } from '@claudemesh/artifacts'
import { type Destination, type ErrorCode, MeshError, type SendRequest, type SharedFiles } from '@claudemesh/protocol'
import { crashPoint } from '@claudemesh/storage'
import { sharesPerRound } from '../limits.ts'
import type { Log } from '../log.ts'
import { PacedWork } from '../paced-work.ts'
import type { Runtime } from '../runtime.ts'
import type { BlobRelay } from './blob-relay.ts'
import type { ShareStore } from './share-store.ts'
import { Uploader } from './uploader.ts'

/** The members a destination stands for now; null: they are being asked for. @throws MeshError there are none any more */
type FindRecipients = (destination: Destination) => readonly string[] | null

export interface ShareSenderOptions {
  readonly store: ShareStore
  readonly relay: BlobRelay
  readonly findRecipients: FindRecipients
  /** Keeps the message in the outbox, once for each id. */
  readonly acceptMessage: (request: SendRequest, files: SharedFiles) => Promise<unknown>
  /** Member id of this host. */
  readonly selfId: string
  readonly runtime: Runtime
  readonly log: Log
}

const unfinished: readonly ShareStatus[] = ['created', 'uploaded']

/** After these it is of no use to try again. */
const finalCodes: ReadonlySet<string> = new Set<ErrorCode>([
  'recipient_unknown',
  'recipient_ambiguous',
  'member_revoked',
  'topic_unknown',
  'too_many_recipients',
  'payload_too_large',
  'idempotency_key_reused',
  'file_not_found',
  'package_not_found',
  'object_missing',
  'object_corrupt',
  'size_mismatch',
  'share_expired',
  'pre_send_refused',
  'blob_too_large',
])

export class ShareSender {
  readonly #o: ShareSenderOptions
  readonly #uploader: Uploader
  readonly #work: PacedWork
  /** Of this process. */
  readonly totals = { sent: 0, given_up: 0 }

  constructor(o: ShareSenderOptions) {
    this.#o = o
    this.#uploader = new Uploader(o)
    const { random } = o.runtime
    this.#work = new PacedWork({ round: (signal) => this.#round(signal), random, name: 'send', log: o.log })
  }

  /** Why shares do not go out for now; null: they do. */
  get failure(): MeshError | null {
    return this.#work.failure
  }

  /** Goes on with what an earlier process began. */
  start(): void {
    if (this.#o.store.isFounded) this.#work.wake()
  }

  /** There is a new share. */
  wake(): void {
    this.#work.wake()
  }

  linkOpened(): void {
    if (this.#o.store.isFounded) this.#work.retry()
  }

  stop(): Promise<void> {
    return this.#work.stop()
  }

  async #round(signal: AbortSignal): Promise<number | null> {
    let failure: MeshError | null = null
    for (const status of unfinished) {
      for (let after: string | null = ''; after !== null; ) {
        const page: { readonly items: readonly Share[]; readonly next: string | null } = await this.#o.store.use(
          ({ shares }) => shares.list({ direction: 'sent', status, after: after ?? '', limit: sharesPerRound }),
        )
        for (const { shareId } of page.items) {
          signal.throwIfAborted()
          const failed = await this.#attempt(shareId, signal)
          failure ??= failed
        }
        after = page.next
      }
    }
    if (failure !== null) throw failure
    return null
  }

  /** @returns what kept it from being done for now */
  async #attempt(shareId: string, signal: AbortSignal): Promise<MeshError | null> {
    try {
      await this.#advance(shareId, signal)
      return null
    } catch (error) {
      if (signal.aborted || !(error instanceof MeshError)) throw error
      if (!finalCodes.has(error.code)) return error
      const reason = `${error.code}: ${error.message}`
      this.totals.given_up += 1
      this.#o.log.warn({ share_id: shareId, err: error }, 'share_given_up')
      await this.#o.store.use(({ shares }) => shares.revoke(shareId, { reason, actor: this.#o.selfId }))
      return null
    }
  }

  async #advance(shareId: string, signal: AbortSignal): Promise<void> {
    const { store, selfId: actor, runtime, log } = this.#o
    const outgoing = await store.use(({ shares }) => shares.outgoing(shareId))
    const { share } = outgoing
    if (!unfinished.includes(share.status)) return
    if (share.expiresAt !== null && share.expiresAt <= runtime.now()) {
      throw new MeshError('share_expired', { detail: 'Its time was over before it could be sent' })
    }
    const uploaded = outgoing.uploaded ?? (await this.#upload(outgoing, signal))
    await this.#o.acceptMessage(messageOf(share), filesOf(outgoing, uploaded.sealed))
    crashPoint('daemon.share.accepted')
    await store.use(({ shares }) => shares.sent(shareId, { actor }))
    crashPoint('daemon.share.sent')
    this.totals.sent += 1
    log.info({ share_id: shareId, peer: share.peer }, 'share_sent')

    function messageOf({ peer, name, sizeBytes, clientMessageId }: Share): SendRequest {
      // What those see whose daemon knows nothing of shares.
      const message = outgoing.secret?.message ?? `shared ${name} (${sizeBytes} bytes)`
      return { to: peer, message, ...(clientMessageId === null ? {} : { client_message_id: clientMessageId }) }
    }
  }

  async #upload(outgoing: OutgoingShare, signal: AbortSignal): Promise<NonNullable<OutgoingShare['uploaded']>> {
    const { share, secret } = outgoing
    const { shareId, peer, expiresAt } = share
    if (secret === null || expiresAt === null) throw new Error('a share that goes out has a key and an end')
    const recipients = this.#recipientsOf(peer)
    const sealed = await this.#uploader.upload(outgoing, { secret, recipients, expiresAt, signal })
    crashPoint('daemon.share.uploaded')
    const uploaded = { sealed, recipients }
    await this.#o.store.use(({ shares }) => shares.uploaded(shareId, { ...uploaded, actor: this.#o.selfId }))
    crashPoint('daemon.share.upload-recorded')
    this.#o.log.info({ share_id: shareId, blobs: sealed.contents === null ? 1 : 'several' }, 'share_uploaded')
    return uploaded
  }

  #recipientsOf(peer: string): readonly string[] {
    const isTopic = peer.startsWith('#')
    const destination: Destination = isTopic ? { kind: 'topic', ref: peer.slice(1) } : { kind: 'dm', ref: peer }
    const recipients = this.#o.findRecipients(destination)
    if (recipients === null) {
      throw new MeshError('broker_unavailable', { detail: `who ${peer} stands for is being asked for` })
    }
    // What nobody is to get is kept for its sender, whose message says so.
    return recipients.length === 0 ? [this.#o.selfId] : recipients
  }
}

function filesOf(
  { share, content, secret }: OutgoingShare,
  sealed: NonNullable<OutgoingShare['uploaded']>['sealed'],
): SharedFiles {
  if (secret === null) throw new Error('a share that goes out has a key')
  const { blob, contents } = sealed
  return {
    v: 1,
    share_id: share.shareId,
    name: content.name,
    media_type: content.mediaType,
    size_bytes: content.sizeBytes,
    content_address: content.contentAddress,
    sha256: content.sha256,
    enc: {
      alg: 'age-stream-v1',
      key: Buffer.from(secret.key).toString('base64url'),
      address: blob.address,
      size_bytes: blob.sizeBytes,
      ...(contents === null ? {} : { contents: { address: contents.address, size_bytes: contents.sizeBytes } }),
    },
    ...(content.manifestDigest === null ? {} : { manifest_digest: content.manifestDigest }),
    ...(share.expiresAt === null ? {} : { expires_at: share.expiresAt }),
  }
}
