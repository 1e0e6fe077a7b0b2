/**
 * Takes in what messages offer (06 §17): from a note of the inbox to `share.received`.
 *
 * 1. A note goes only when the store has the share. A crash between the two finds the note again, and the store the share.
 * 2. What offers no share of a known form is told of in the log and passed over; the message itself is in the inbox.
 */
import type { OfferedShare, SharedContent } from '@claudemesh/artifacts'
import { MeshError, readSharedFiles, type SharedFiles } from '@claudemesh/protocol'
import { crashPoint } from '@claudemesh/storage'
import type { InboxRow } from '../inbox/inbox.ts'
import { offersPerRound } from '../limits.ts'
import type { Log } from '../log.ts'
import { PacedWork } from '../paced-work.ts'
import { loadLibrary, type ShareStore } from './share-store.ts'

export interface OfferTakerOptions {
  readonly offers: { waiting(limit: number): readonly InboxRow[]; taken(throughSeq: number): void }
  readonly store: ShareStore
  /** Member id of this host. */
  readonly selfId: string
  readonly random: () => number
  /** New shares were received. */
  readonly onReceived: () => void
  readonly log: Log
}

export class OfferTaker {
  readonly #o: OfferTakerOptions
  readonly #work: PacedWork

  constructor(o: OfferTakerOptions) {
    this.#o = o
    this.#work = new PacedWork({ round: () => this.#round(), random: o.random, name: 'take offers', log: o.log })
  }

  wake(): void {
    this.#work.wake()
  }

  stop(): Promise<void> {
    return this.#work.stop()
  }

  async #round(): Promise<number | null> {
    const { offers, onReceived } = this.#o
    const rows = offers.waiting(offersPerRound)
    for (const row of rows) {
      await this.#take(row)
      crashPoint('daemon.share.received')
      offers.taken(row.seq)
    }
    if (rows.length > 0) onReceived()
    return rows.length === offersPerRound ? 0 : null
  }

  async #take(row: InboxRow): Promise<void> {
    const { store, log, selfId } = this.#o
    const { sender: peer, brokerMessageId: id } = row
    try {
      const files = readSharedFiles(row.meta)
      if (files === null) throw new MeshError('invalid_request', { detail: 'it is of no form that is known here' })
      const offered = await readOffer(files, { peer, clientMessageId: row.clientMessageId, actor: selfId })
      const { shareId } = await store.use(({ shares }) => shares.receive(offered))
      log.info({ share_id: shareId, peer, id }, 'share_received')
    } catch (error) {
      if (!(error instanceof MeshError) || error.status >= 500 || error.retryable) throw error
      log.warn({ err: error, peer, id }, 'offer_refused')
    }
  }
}

/** @throws MeshError `invalid_request`, `invalid_path`: what it says cannot be */
async function readOffer(
  files: SharedFiles,
  o: Pick<OfferedShare, 'peer' | 'clientMessageId' | 'actor'>,
): Promise<OfferedShare> {
  const { normalizeRelativePath, parseContentAddress, sealedSize } = await loadLibrary()
  const { enc } = files
  const { relative_path: name } = normalizeRelativePath(files.name, 'portable')
  if (name.includes('/')) throw new MeshError('invalid_request', { detail: 'its name is a path' })
  const manifestDigest = files.manifest_digest === undefined ? null : parseContentAddress(files.manifest_digest)
  if (manifestDigest === null && enc.size_bytes !== sealedSize(files.size_bytes)) {
    throw new MeshError('invalid_request', { detail: 'its size and that of its ciphertext do not go together' })
  }
  const content: SharedContent = {
    name,
    mediaType: files.media_type,
    sizeBytes: files.size_bytes,
    contentAddress: parseContentAddress(files.content_address),
    sha256: files.sha256,
    manifestDigest,
  }
  const blobOf = ({ address, size_bytes: sizeBytes }: { address: string; size_bytes: number }) => {
    return { address: parseContentAddress(address), sizeBytes }
  }
  return {
    ...o,
    shareId: files.share_id,
    content,
    sealed: { blob: blobOf(enc), contents: enc.contents === undefined ? null : blobOf(enc.contents) },
    key: Buffer.from(enc.key, 'base64url'),
    expiresAt: files.expires_at ?? null,
  }
}
