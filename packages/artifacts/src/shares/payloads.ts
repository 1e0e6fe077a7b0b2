/** What the events of shares carry (06 §5, §17): everything the view needs, and what a later step must know. No secret. */
import type { CanonicalMap } from '../canon/value.ts'
import type { ContentAddress } from '../identity/content-address.ts'
import type { SealedBlob, SealedContent, SharedContent } from './share.ts'

export function contentPayload(content: SharedContent): CanonicalMap {
  return {
    name: content.name,
    media_type: content.mediaType,
    size_bytes: content.sizeBytes,
    content_address: content.contentAddress,
    sha256: content.sha256,
    manifest_digest: content.manifestDigest,
  }
}

export function sealedPayload({ blob, contents }: SealedContent): CanonicalMap {
  return { sealed: blobPayload(blob), sealed_contents: contents === null ? null : blobPayload(contents) }
}

/** Reads what `contentPayload` wrote. */
export function contentOf(payload: CanonicalMap): SharedContent {
  return {
    name: payload['name'] as string,
    mediaType: payload['media_type'] as string,
    sizeBytes: payload['size_bytes'] as number,
    contentAddress: payload['content_address'] as ContentAddress,
    sha256: payload['sha256'] as string,
    manifestDigest: payload['manifest_digest'] as ContentAddress | null,
  }
}

/** Reads what `sealedPayload` wrote. */
export function sealedOf(payload: CanonicalMap): SealedContent {
  const contents = payload['sealed_contents'] as CanonicalMap | null
  return { blob: blobOf(payload['sealed'] as CanonicalMap), contents: contents === null ? null : blobOf(contents) }
}

function blobPayload({ address, sizeBytes }: SealedBlob): CanonicalMap {
  return { address, size_bytes: sizeBytes }
}

function blobOf(payload: CanonicalMap): SealedBlob {
  return { address: payload['address'] as ContentAddress, sizeBytes: payload['size_bytes'] as number }
}
