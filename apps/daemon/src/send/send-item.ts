import { limits, type SendItem } from '@claudemesh/protocol'
import { sendItemOverheadBytesMax } from '../limits.ts'
import type { ClaimedRow } from '../outbox/outbox.ts'

/** A claimed row as it travels. */
export function toSendItem(row: ClaimedRow): SendItem {
  return {
    client_message_id: row.clientMessageId,
    wire_fingerprint: row.wireFingerprint.toString('hex'),
    destination: { kind: row.destinationKind, ref: row.destinationRef },
    reply_to: row.replyToId,
    priority: row.priority,
    recipients_epoch: row.recipientsEpoch,
    ...(row.mentions.length === 0 ? {} : { mentions: [...row.mentions] }),
    receipts: row.receipts,
    sealed: row.sealed.toString('base64'),
  }
}

/** Fixed members, ids and punctuation of an item; an id of 255 characters may double when quoted. */
const itemFrameBytes = 512
const mentionBytes = 67

/** An upper bound of the bytes of an item in its frame. */
export function itemBytesMax(item: SendItem): number {
  const mentions = (item.mentions?.length ?? 0) * mentionBytes
  return itemFrameBytes + 2 * item.client_message_id.length + mentions + item.sealed.length
}

/** Bytes of the frame around its items. */
const frameEnvelopeBytes = 64

/** Cuts items into frames of at most 256 items and `frameBytesMax` bytes, in order. An item larger than that is alone. */
export function cutFrames(items: readonly SendItem[], frameBytesMax: number): SendItem[][] {
  const frames: SendItem[][] = []
  let frame: SendItem[] = []
  let bytes = frameEnvelopeBytes
  for (const item of items) {
    const itemBytes = itemBytesMax(item)
    const isFull = frame.length === limits.itemsPerFrameMax || bytes + itemBytes > frameBytesMax
    if (isFull && frame.length > 0) {
      frames.push(frame)
      frame = []
      bytes = frameEnvelopeBytes
    }
    frame.push(item)
    bytes += itemBytes
  }
  if (frame.length > 0) frames.push(frame)
  return frames
}

/** Whether an item fits into a frame at all. */
export function fitsFrame(item: SendItem, frameBytesMax: number): boolean {
  return frameEnvelopeBytes + itemBytesMax(item) <= frameBytesMax
}

if (itemFrameBytes + 2 * 255 + limits.mentionsMax * mentionBytes > sendItemOverheadBytesMax) {
  throw new Error('sendItemOverheadBytesMax is too small for an item with every member at its largest')
}
