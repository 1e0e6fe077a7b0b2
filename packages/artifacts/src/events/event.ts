/** What is in the log (06 §5): a fact with its number, its bytes, and the digest that ties it to everything before it. */
import { decodeCanonical, encodeCanonical } from '../canon/cbor.ts'
import { type CanonicalMap, type CanonicalValue, manifestBytesMax } from '../canon/value.ts'
import { getAlgorithm } from '../identity/algorithms.ts'

export interface Event {
  /** From 1, without a gap, in the order of commits. */
  readonly sequence: number
  /** Milliseconds since the epoch, UTC; never before that of the event before it. */
  readonly created_at: number
  readonly event_type: string
  readonly subject_kind: string
  readonly subject_id: string
  /** The member who did it, or `local`. */
  readonly actor: string
  /** Canonical CBOR, made once and never again. */
  readonly payload: Uint8Array
  /** BLAKE3 of the payload, 32 bytes. */
  readonly payload_digest: Uint8Array
  /** BLAKE3 of the chain digest before and of this event, 32 bytes. */
  readonly chain_digest: Uint8Array
}

/** An event that has no number yet. */
export interface NewEvent {
  readonly event_type: string
  readonly subject_kind: 'package' | 'file' | 'location' | 'share'
  readonly subject_id: string
  readonly actor: string
  /** Bytes are canonical CBOR already. */
  readonly payload: CanonicalMap | Uint8Array
}

/** The chain digest before the first event. */
export const chainStart: Uint8Array = new Uint8Array(32)

/** Values of payloads that were just encoded: the view writer need not decode them again. */
const valuesOf = new WeakMap<Uint8Array, CanonicalValue>()

/** @throws ArtifactError `not_canonical` */
export function encodePayload(payload: CanonicalMap | Uint8Array): Uint8Array {
  if (payload instanceof Uint8Array) return payload
  const bytes = encodeCanonical(payload)
  valuesOf.set(bytes, payload)
  return bytes
}

/** @throws ArtifactError a `cbor_*` code */
export function payloadOf(event: Event): CanonicalMap {
  const value = valuesOf.get(event.payload) ?? decodeCanonical(event.payload, { maxBytes: manifestBytesMax })
  return value as CanonicalMap
}

export function payloadDigest(payload: Uint8Array): Uint8Array {
  return blake3(payload)
}

/** The digest that ties an event to the chain before it. */
export function chainDigest(previous: Uint8Array, event: Omit<Event, 'chain_digest' | 'payload'>): Uint8Array {
  const { sequence, created_at, event_type, subject_kind, subject_id, actor, payload_digest } = event
  const digest = Buffer.from(payload_digest).toString('hex')
  const fields = [sequence, created_at, event_type, subject_kind, subject_id, actor, digest]
  return blake3(previous, encodeCanonical(fields))
}

function blake3(...parts: readonly Uint8Array[]): Uint8Array {
  const hasher = getAlgorithm('blake3').create()
  for (const part of parts) hasher.update(part)
  return hasher.digest()
}
