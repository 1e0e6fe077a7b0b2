/**
 * Opens what was delivered (05 §4): from the bytes that came to a body and meta.
 *
 * 1. What opens was sealed by the member that the delivery names, for this one, and is what the delivery says of it.
 * 2. Nothing that a broker or a sender puts into a message can end the process: what does not open is kept as it came,
 *    with the reason.
 */
import { type DeliveryItem, decodeEnvelope, findUncarriable, limits } from '@claudemesh/protocol'
import { open } from '@claudemesh/sealing'
import type { OwnBoxKeys } from '../box-keys.ts'
import type { MessageContent } from '../inbox/inbox.ts'

/** A message as it came over the wire: a delivery, or an item of the broker's history. */
export type ArrivedMessage = Omit<DeliveryItem, 'delivery_id'>

/** What is claimed of a message, with its bytes. */
type SealedClaim = Pick<ArrivedMessage, 'client_message_id' | 'sender' | 'destination' | 'reply_to' | 'priority'> & {
  readonly bytes: Uint8Array
}

/** Opens one message. Never throws. */
export type OpenMessage = (claim: SealedClaim) => MessageContent

export interface OpenerParts {
  readonly meshId: string
  readonly boxKeys: OwnBoxKeys
  readonly members: { boxKey(memberId: string, epoch: number): string | null }
}

export function makeOpener({ meshId, boxKeys, members }: OpenerParts): OpenMessage {
  return (claim) => {
    const { bytes: sealed } = claim
    const opening = open({
      sealed,
      expected: {
        meshId,
        sender: claim.sender,
        clientMessageId: claim.client_message_id,
        destination: claim.destination,
        replyTo: claim.reply_to,
        priority: claim.priority,
      },
      senderBoxKey: (memberId, epoch) => members.boxKey(memberId, epoch),
      keys: boxKeys.opening,
    })
    if (!opening.ok) return { opened: false, sealed, reason: opening.reason }
    return readContent(opening.plaintext) ?? { opened: false, sealed, reason: 'content_unreadable' }
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** @returns null for what no daemon seals: no envelope, a body that is no text, or meta that cannot be shown */
export function readContent(plaintext: Uint8Array): Extract<MessageContent, { opened: true }> | null {
  const envelope = decodeEnvelope(plaintext)
  if (envelope === null) return null
  const { meta } = envelope
  if (meta !== null && findUncarriable(meta, limits.metaDepthMax) !== null) return null
  try {
    return { opened: true, body: utf8.decode(envelope.body), meta }
  } catch {
    // Not UTF-8: the decoder says no more than that.
    return null
  }
}
