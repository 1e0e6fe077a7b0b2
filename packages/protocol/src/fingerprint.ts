/**
 * The request fingerprint (02 §3, canonical form, version "1"): the digest of everything that makes a send what it is.
 *
 * 1. Equal sends have equal fingerprints on every host and in every language; vectors/fingerprint.json pins them.
 * 2. Two different sends never share one: fields are separated by one zero byte, and no field may contain one.
 * 3. One function serves both layers: the daemon applies it to the plaintext request, daemon and broker apply it to
 *    the sealed message (meta empty, body = sealed bytes). The plaintext fingerprint never leaves the host.
 */
import { hash } from 'node:crypto'
import { canonicalJson, isCarriableText, type JsonObject } from './canonical-json.ts'
import type { Destination } from './destination.ts'

/** When a message is taken from the queue: `now` before `next` before `low`. */
export type Priority = 'now' | 'next' | 'low'

/** The envelope version that this code writes. */
export const envelopeVersion = '1'

export interface FingerprintInput {
  readonly destination: Destination
  /** The `broker_message_id` replied to, or null. */
  readonly replyToId: string | null
  readonly priority: Priority
  /** The canonical form of meta (see `canonicalMeta`), or the empty string. */
  readonly metaCanonicalJson: string
  readonly body: Uint8Array
}

/**
 * @returns 32 bytes
 * @throws TypeError when a field contains U+0000, or a lone surrogate, which has no UTF-8 of its own
 */
export function requestFingerprint(input: FingerprintInput): Buffer {
  const fields = [
    envelopeVersion,
    input.destination.kind,
    input.destination.ref,
    input.replyToId ?? '',
    input.priority,
    input.metaCanonicalJson,
    hash('sha256', input.body, 'hex'),
  ]
  for (const field of fields) {
    if (!isCarriableText(field)) throw new TypeError('a fingerprint field contains U+0000 or a lone surrogate')
  }
  // Its own way to a buffer takes twice as long.
  return Buffer.from(hash('sha256', fields.join('\u0000'), 'binary'), 'binary')
}

/** The fingerprint of a sealed message as it travels: both ends compute it from the same bytes. */
export function wireFingerprint(input: {
  readonly destination: Destination
  readonly replyToId: string | null
  readonly priority: Priority
  readonly sealed: Uint8Array
}): Buffer {
  const { destination, replyToId, priority, sealed } = input
  return requestFingerprint({ destination, replyToId, priority, metaCanonicalJson: '', body: sealed })
}

/** Meta as it enters the fingerprint and the envelope: canonical, and empty for absent, null and `{}`. */
export function canonicalMeta(meta: JsonObject | null | undefined): string {
  if (meta === null || meta === undefined || Object.keys(meta).length === 0) return ''
  return canonicalJson(meta)
}

/** The first 8 bytes in hex: enough to tell two fingerprints apart in a message for a person. */
export function fingerprintPrefix(fingerprint: Uint8Array): string {
  return Buffer.from(fingerprint.subarray(0, 8)).toString('hex')
}
