/** Canonical values as JSON by RFC 8785 (06 §3): what people and programs without CBOR read. */
import type { JsonValue } from '@claudemesh/protocol'
import canonicalize from 'canonicalize'
import { ArtifactError } from '../artifact-error.ts'
import { encodeCanonical } from './cbor.ts'
import { assertCanonical, type CanonicalLimits, type CanonicalValue, nestingMax, payloadBytesMax } from './value.ts'

/**
 * The canonical JSON of a canonical value, in UTF-8.
 *
 * @throws ArtifactError `not_canonical`
 */
export function jcs(value: unknown): Uint8Array {
  assertCanonical(value)
  return canonicalizeJson(value)
}

/**
 * The canonical JSON of any JSON value, fractions included (RFC 8785), in UTF-8.
 *
 * @throws ArtifactError `not_canonical`: it has no JSON form
 */
export function canonicalizeJson(value: JsonValue): Uint8Array {
  let text: string | undefined
  try {
    text = canonicalize(value)
  } catch (cause) {
    throw new ArtifactError('not_canonical', { detail: 'The value has no canonical JSON form.', cause })
  }
  if (text === undefined) throw new ArtifactError('not_canonical', { detail: 'The value has no canonical JSON form.' })
  return Buffer.from(text, 'utf8')
}

/**
 * Turns canonical JSON into the canonical CBOR of the same value.
 *
 * @throws ArtifactError `jcs_too_large`, `jcs_bad_utf8`, `jcs_bom`, `jcs_too_deep`, `jcs_syntax`; `jcs_not_canonical`: it
 *   is JSON, written otherwise than RFC 8785 writes it; `not_canonical`: it holds what is no canonical value
 */
export function jcsToCbor(bytes: Uint8Array, limits: CanonicalLimits = { maxBytes: payloadBytesMax }): Uint8Array {
  if (bytes.length > limits.maxBytes) {
    throw new ArtifactError('jcs_too_large', { detail: `The JSON has more than ${limits.maxBytes} bytes.` })
  }
  const text = decodeText(bytes)
  if (nests(text) > nestingMax) {
    throw new ArtifactError('jcs_too_deep', { detail: `The JSON nests deeper than ${nestingMax} containers.` })
  }
  const value = parse(text)
  // Compared first: of `-0` or `1.0` what is wrong is how it is written, not what it says.
  if (writtenForm(value) !== text) {
    throw new ArtifactError('jcs_not_canonical', {
      detail: 'The JSON is not written as RFC 8785 writes it: sorted keys, no spaces, shortest numbers and escapes.',
    })
  }
  return encodeCanonical(value)
}

function decodeText(bytes: Uint8Array): string {
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch (cause) {
    throw new ArtifactError('jcs_bad_utf8', { detail: 'The JSON is not well-formed UTF-8.', cause })
  }
  if (text.startsWith('\uFEFF'))
    throw new ArtifactError('jcs_bom', { detail: 'The JSON begins with a byte order mark.' })
  return text
}

const quote = 0x22
const backslash = 0x5c
const opening = new Set([0x5b, 0x7b])
const closing = new Set([0x5d, 0x7d])

/** How deep brackets nest outside of texts. Looked at before anything is parsed, and right for every text that is JSON. */
function nests(text: string): number {
  let depth = 0
  let deepest = 0
  let inText = false
  for (let index = 0; index < text.length; index += 1) {
    const unit = text.charCodeAt(index)
    if (unit === quote) inText = !inText
    else if (inText) index += unit === backslash ? 1 : 0
    else if (closing.has(unit)) depth -= 1
    else if (opening.has(unit)) {
      depth += 1
      deepest = Math.max(deepest, depth)
    }
  }
  return deepest
}

function parse(text: string): CanonicalValue {
  try {
    return JSON.parse(text) as CanonicalValue
  } catch (cause) {
    throw new ArtifactError('jcs_syntax', { detail: 'The bytes are not one JSON value.', cause })
  }
}

/** Null: it has none, and `assertCanonical` says why. */
function writtenForm(value: CanonicalValue): string {
  try {
    return canonicalize(value) ?? ''
  } catch {
    // A lone surrogate in an escape, or a number beyond all doubles.
    assertCanonical(value)
    throw new Error('a canonical value without a canonical form')
  }
}
