/** Events of the log as they travel: the payload in JSON is canonical, in CBOR it is the bytes that are in the log. */
import type { Event } from '@claudemesh/artifacts'

export interface EventWriter {
  /** One JSON document on one line. */
  toJson(event: Event): string
  /** One item of a CBOR sequence (RFC 8742): a canonical map of the same members. */
  toCbor(event: Event): Uint8Array
}

/** A map of nine members. */
const mapHead = Uint8Array.of(0xa9)

/** The codecs belong to the store and are loaded with it. */
export async function eventWriter(): Promise<EventWriter> {
  const { decodeCanonical, encodeCanonical, jcs, manifestBytesMax } = await import('@claudemesh/artifacts')
  return {
    toJson(event) {
      const { payload, payload_digest, chain_digest, ...head } = event
      const text = Buffer.from(jcs(decodeCanonical(payload, { maxBytes: manifestBytesMax }))).toString('utf8')
      const digests = { payload_digest: hex(payload_digest), chain_digest: hex(chain_digest) }
      return `${JSON.stringify({ ...head, ...digests }).slice(0, -1)},"payload":${text}}`
    },
    toCbor(event) {
      const { payload, payload_digest, chain_digest, ...head } = event
      const values = { ...head, payload_digest: hex(payload_digest), chain_digest: hex(chain_digest) }
      const members = Object.entries(values).map(([name, value]) => [encodeCanonical(name), encodeCanonical(value)])
      members.push([encodeCanonical('payload'), payload])
      members.sort(([a = mapHead], [b = mapHead]) => Buffer.compare(a, b))
      return Buffer.concat([mapHead, ...members.flat()])
    },
  }
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}
