import { ArtifactError } from '../artifact-error.ts'
import {
  type ContentAddress,
  formatContentAddress,
  makeDigest,
  parseContentAddress,
  toDigest,
} from '../identity/content-address.ts'

/**
 * The name of an object in every backend, as in `blake3/af/13/af13…`; its directories keep any one of them small.
 *
 * @throws ArtifactError `invalid_content_address`: the text is none, and never becomes a name
 */
export function objectKey(address: ContentAddress): string {
  const { algorithm, hex } = toDigest(parseContentAddress(address))
  return [algorithm, hex.slice(0, 2), hex.slice(2, 4), hex].join('/')
}

/** The address whose object has this name; null when no object has. */
export function addressOfKey(key: string): ContentAddress | null {
  const [algorithm = '', , , hex = ''] = key.split('/')
  try {
    const address = formatContentAddress(makeDigest(algorithm, hex))
    return objectKey(address) === key ? address : null
  } catch (error) {
    if (error instanceof ArtifactError) return null
    throw error
  }
}
