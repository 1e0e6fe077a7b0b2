import { limits } from '@claudemesh/protocol'

/**
 * Writes items as frames of one type, in order, each frame within the bounds of items and bytes. An item that is
 * larger than a whole frame gets one to itself: whether it is too large is the receiver's to say.
 *
 * @param bytesMax of one frame as UTF-8
 * @returns the frames as text
 */
export function* writeBatches(
  type: 'send' | 'deliver_ack',
  items: readonly object[],
  bytesMax: number,
): Generator<string> {
  const begin = `{"type":"${type}","items":[`
  const end = ']}'
  let texts: string[] = []
  let bytes = begin.length + end.length
  for (const item of items) {
    const text = JSON.stringify(item)
    const itemBytes = Buffer.byteLength(text) + 1
    const isFull = texts.length === limits.itemsPerFrameMax || bytes + itemBytes > bytesMax
    if (isFull && texts.length > 0) {
      yield begin + texts.join(',') + end
      texts = []
      bytes = begin.length + end.length
    }
    texts.push(text)
    bytes += itemBytes
  }
  if (texts.length > 0) yield begin + texts.join(',') + end
}
