/** What the steps of a share are given, checked before anything is locked (06 §17). */
import { isClientMessageId, isUlid } from '@claudemesh/protocol'
import type { Limits } from '../config/limits.ts'
import { parseContentAddress } from '../identity/content-address.ts'
import { checkActor, checkMediaType, checkName, invalid } from '../registry/input.ts'
import { blobKeyBytes } from '../seal/stream.ts'
import type { OfferedShare, SealedBlob, SealedContent, SharedContent } from './share.ts'

/** @throws ArtifactError `invalid_request`, `invalid_content_address` */
export function checkOffered(o: OfferedShare, limits: Limits): OfferedShare {
  if (!isUlid(o.shareId)) throw invalid('shareId', 'is a ULID')
  if (!isClientMessageId(o.clientMessageId)) throw invalid('clientMessageId', 'is 1 to 255 visible ASCII characters')
  if (o.key.length !== blobKeyBytes) throw invalid('key', `has ${blobKeyBytes} bytes`)
  const content = checkContent(o.content, limits)
  const sealed = checkSealed(o.sealed)
  if ((content.manifestDigest === null) !== (sealed.contents === null)) {
    throw invalid('sealed.contents', 'is there for a package, and for nothing else')
  }
  return {
    shareId: o.shareId,
    peer: checkName('peer', o.peer, limits),
    clientMessageId: o.clientMessageId,
    content,
    sealed,
    key: o.key,
    expiresAt: o.expiresAt === null ? null : checkCount('expiresAt', o.expiresAt),
    actor: checkActor(o.actor),
  }
}

/** A number of bytes, or a time in milliseconds. @throws ArtifactError `invalid_request` */
export function checkCount(member: string, value: number): number {
  if (!Number.isSafeInteger(value) || value < 0) throw invalid(member, 'is a whole number, 0 or more')
  return value
}

/** @throws ArtifactError `invalid_request`, `invalid_content_address` */
export function checkSealed({ blob, contents }: SealedContent): SealedContent {
  return { blob: checkBlob(blob), contents: contents === null ? null : checkBlob(contents) }
}

function checkBlob({ address, sizeBytes }: SealedBlob): SealedBlob {
  return { address: parseContentAddress(address), sizeBytes: checkCount('sealed.sizeBytes', sizeBytes) }
}

function checkContent(content: SharedContent, limits: Limits): SharedContent {
  const { contentAddress, sha256, manifestDigest } = content
  if (!/^[0-9a-f]{64}$/.test(sha256)) throw invalid('sha256', 'is 64 lower-case hexadecimal digits')
  if (manifestDigest !== null && manifestDigest !== contentAddress) {
    throw invalid('manifestDigest', 'is the content address of a shared package')
  }
  return {
    name: checkName('name', content.name, limits),
    mediaType: checkMediaType('mediaType', content.mediaType),
    sizeBytes: checkCount('sizeBytes', content.sizeBytes),
    contentAddress: parseContentAddress(contentAddress),
    sha256,
    manifestDigest: manifestDigest === null ? null : parseContentAddress(manifestDigest),
  }
}
