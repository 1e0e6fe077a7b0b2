/** What names bytes: a digest and its written form, `algorithm:hex` (06 §2). */
import { ArtifactError } from '../artifact-error.ts'
import {
  type AlgorithmName,
  algorithmNameLengthMax,
  algorithmNamePattern,
  getAlgorithm,
  isAlgorithm,
} from './algorithms.ts'

/** A digest. Frozen; equal digests are told by `digestEquals`, or by their address as a key. */
export interface Digest {
  readonly algorithm: AlgorithmName
  /** Lower-case hexadecimal digits, as many as the algorithm has. */
  readonly hex: string
}

/** A digest as text, as in `blake3:af13…`. A string of its own type, so that it is its own key in a Map or a Set. */
export type ContentAddress = string & { readonly __contentAddress: unique symbol }

/** Why a text is no address, in the order in which it is looked at. */
export type AddressFault =
  | 'not_a_string'
  | 'no_separator'
  | 'algorithm_syntax'
  | 'algorithm_unknown'
  | 'hex_length'
  | 'hex_syntax'

const sentences: Readonly<Record<AddressFault, string>> = {
  not_a_string: 'A content address is a text.',
  no_separator: 'A content address has a colon between its algorithm and its digits.',
  algorithm_syntax: 'The algorithm of a content address is 1 to 32 lower-case letters and digits, parted by - or _.',
  algorithm_unknown: 'The algorithm of this content address is not known here.',
  hex_length: 'The content address does not have as many digits as its algorithm gives.',
  hex_syntax: 'The digits of a content address are 0 to 9 and a to f.',
}

/**
 * A digest of a registered algorithm.
 *
 * @throws ArtifactError `invalid_content_address` with one of `AddressFault` as its reason
 */
export function makeDigest(algorithm: AlgorithmName, hex: string): Digest {
  return toDigest(parseContentAddress(`${algorithm}:${hex}`))
}

/** Whether both name the same bytes by the same algorithm. */
export function digestEquals(a: Digest, b: Digest): boolean {
  return a.algorithm === b.algorithm && a.hex === b.hex
}

/**
 * Reads an address as it is: nothing is trimmed, folded or completed.
 *
 * @throws ArtifactError `invalid_content_address` with one of `AddressFault` as its reason
 */
export function parseContentAddress(text: unknown): ContentAddress {
  const reason = findAddressFault(text)
  if (reason !== null) throw new ArtifactError('invalid_content_address', { reason, detail: sentences[reason] })
  return text as ContentAddress
}

/** The written form of a digest. */
export function formatContentAddress(digest: Digest): ContentAddress {
  return parseContentAddress(`${digest.algorithm}:${digest.hex}`)
}

/** The digest that an address writes. */
export function toDigest(address: ContentAddress): Digest {
  const separator = address.indexOf(':')
  return Object.freeze({ algorithm: address.slice(0, separator), hex: address.slice(separator + 1) })
}

function findAddressFault(text: unknown): AddressFault | null {
  if (typeof text !== 'string') return 'not_a_string'
  const separator = text.indexOf(':')
  if (separator < 0) return 'no_separator'
  const algorithm = text.slice(0, separator)
  if (algorithm.length > algorithmNameLengthMax || !algorithmNamePattern.test(algorithm)) return 'algorithm_syntax'
  if (!isAlgorithm(algorithm)) return 'algorithm_unknown'
  const hex = text.slice(separator + 1)
  if (hex.length !== getAlgorithm(algorithm).hexLength) return 'hex_length'
  return /^[0-9a-f]*$/.test(hex) ? null : 'hex_syntax'
}
