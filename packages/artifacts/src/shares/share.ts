/** A share as callers see it, and what its events say beyond the view. */
import type { ContentAddress } from '../identity/content-address.ts'
import type { ShareRow } from './statements.ts'
import type { ShareDirection, ShareStatus } from './states.ts'

export interface Share {
  readonly shareId: string
  readonly direction: ShareDirection
  readonly status: ShareStatus
  /** Null: nothing of a received share is here yet. */
  readonly packageId: string | null
  /** The one file that is shared; null for a whole package. */
  readonly fileId: string | null
  /** The member it came from or goes to; `#` and a name: a topic. */
  readonly peer: string
  readonly name: string
  readonly mediaType: string
  /** Of the file, or of all files of the package together. */
  readonly sizeBytes: number
  /** Of the file, or of the package's manifest. */
  readonly contentAddress: ContentAddress
  readonly clientMessageId: string | null
  /** Milliseconds since the epoch, UTC. */
  readonly createdAt: number
  readonly expiresAt: number | null
  readonly lastEventSequence: number
}

/** Which bytes are shared. */
export interface SharedContent {
  readonly name: string
  readonly mediaType: string
  readonly sizeBytes: number
  readonly contentAddress: ContentAddress
  /** Of the file, or of the package's manifest; lower-case hexadecimal digits. */
  readonly sha256: string
  /** Of the package; null: a file is shared. */
  readonly manifestDigest: ContentAddress | null
}

/** One blob at the relay. */
export interface SealedBlob {
  readonly address: ContentAddress
  readonly sizeBytes: number
}

/** What is at the relay: the file, or the manifest and the list of what the files of the package became. */
export interface SealedContent {
  readonly blob: SealedBlob
  readonly contents: SealedBlob | null
}

/** What a share that is on its way out needs. */
export interface OutgoingShare {
  readonly share: Share
  readonly content: SharedContent
  /** 32 and 16 bytes; the message that goes with it. Null: the share is past needing them. */
  readonly secret: { readonly key: Uint8Array; readonly nonce: Uint8Array; readonly message: string | null } | null
  /** What was uploaded and for whom; null: nothing yet. */
  readonly uploaded: { readonly sealed: SealedContent; readonly recipients: readonly string[] } | null
}

/** What is needed to fetch a share. */
export interface IncomingShare {
  readonly share: Share
  readonly content: SharedContent
  readonly sealed: SealedContent
  /** 32 bytes; null: it is fetched, or revoked. */
  readonly key: Uint8Array | null
}

/** What a message offered. */
export interface OfferedShare {
  readonly shareId: string
  /** The member who sent it. */
  readonly peer: string
  readonly clientMessageId: string
  readonly content: SharedContent
  readonly sealed: SealedContent
  /** 32 bytes. */
  readonly key: Uint8Array
  readonly expiresAt: number | null
  readonly actor: string
}

export function toShare(row: ShareRow): Share {
  return {
    shareId: row.share_id,
    direction: row.direction,
    status: row.status,
    packageId: row.package_id,
    fileId: row.file_id,
    peer: row.peer,
    name: row.name,
    mediaType: row.media_type,
    sizeBytes: row.size_bytes,
    contentAddress: row.content_address as ContentAddress,
    clientMessageId: row.client_message_id,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    lastEventSequence: row.last_event_sequence,
  }
}
