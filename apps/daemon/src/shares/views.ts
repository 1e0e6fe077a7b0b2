/** A share in the words of the wire. */
import type { Share } from '@claudemesh/artifacts'
import type { ShareView } from '@claudemesh/protocol/artifacts'

/** @param nameOf of a member, from the directory; null: it is not there */
export function toShareView(share: Share, nameOf: (memberId: string) => string | null): ShareView {
  return {
    share_id: share.shareId,
    direction: share.direction,
    status: share.status,
    peer: share.peer,
    peer_name: share.peer.startsWith('#') ? null : nameOf(share.peer),
    name: share.name,
    media_type: share.mediaType,
    size_bytes: share.sizeBytes,
    content_address: share.contentAddress,
    package_id: share.packageId,
    file_id: share.fileId,
    client_message_id: share.clientMessageId,
    created_at: share.createdAt,
    expires_at: share.expiresAt,
  }
}
