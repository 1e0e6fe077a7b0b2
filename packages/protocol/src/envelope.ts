/**
 * The inside of a message: what the sender means and the broker does not need to know. Its bytes are what sealing
 * encrypts; the layout keeps the body as it is, so that a body of any bytes costs no escaping.
 *
 *     length of meta, 4 bytes big-endian | meta, canonical JSON in UTF-8 or nothing | body
 */
import type { JsonObject } from './canonical-json.ts'

export interface Envelope {
  /** Canonical JSON of meta, or the empty string. */
  readonly metaCanonicalJson: string
  readonly body: Uint8Array
}

const lengthBytes = 4
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

export function encodeEnvelope(envelope: Envelope): Buffer {
  const { metaCanonicalJson, body } = envelope
  const metaBytes = metaCanonicalJson === '' ? 0 : Buffer.byteLength(metaCanonicalJson)
  const bodyStart = lengthBytes + metaBytes
  const bytes = Buffer.allocUnsafe(bodyStart + body.length)
  bytes.writeUInt32BE(metaBytes)
  if (metaBytes > 0) bytes.write(metaCanonicalJson, lengthBytes, 'utf8')
  bytes.set(body, bodyStart)
  return bytes
}

/** What came out of an envelope. `meta` is null when there is none. */
export interface OpenedEnvelope {
  readonly meta: JsonObject | null
  readonly body: Buffer
}

/** @returns null when the bytes are not an envelope */
export function decodeEnvelope(bytes: Uint8Array): OpenedEnvelope | null {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (buffer.length < lengthBytes) return null
  const bodyStart = lengthBytes + buffer.readUInt32BE()
  if (bodyStart > buffer.length) return null
  const body = buffer.subarray(bodyStart)
  if (bodyStart === lengthBytes) return { meta: null, body }
  try {
    const meta: unknown = JSON.parse(utf8.decode(buffer.subarray(lengthBytes, bodyStart)))
    if (meta === null || typeof meta !== 'object' || Array.isArray(meta)) return null
    return { meta: meta as JsonObject, body }
  } catch {
    // Not UTF-8 or not JSON: the same answer as for any other bytes that are no envelope.
    return null
  }
}
