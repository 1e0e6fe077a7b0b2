import { ArtifactError } from '../../artifact-error.ts'
import { getAlgorithm } from '../../identity/algorithms.ts'
import { type ContentAddress, toDigest } from '../../identity/content-address.ts'

const withheldBytes = 64 * 1024

/**
 * Bytes as they are read, except that the last 64 KiB wait until the digest of all of them is that of the address.
 *
 * @throws ArtifactError `object_corrupt` instead of the last bytes
 */
export async function* checkedBody(address: ContentAddress, body: AsyncIterable<Uint8Array>) {
  const { algorithm, hex } = toDigest(address)
  const hasher = getAlgorithm(algorithm).create()
  let held: Uint8Array[] = []
  let heldBytes = 0
  for await (const chunk of body) {
    hasher.update(chunk)
    held.push(chunk)
    heldBytes += chunk.length
    while (held[0] !== undefined && heldBytes - held[0].length >= withheldBytes) {
      const [first, ...rest] = held
      held = rest
      heldBytes -= first.length
      yield first
    }
    // One chunk larger than what is withheld: its beginning may go.
    const [only] = held
    if (held.length === 1 && only !== undefined && only.length > withheldBytes) {
      yield only.subarray(0, only.length - withheldBytes)
      held = [only.subarray(only.length - withheldBytes)]
      heldBytes = withheldBytes
    }
  }
  if (Buffer.from(hasher.digest()).toString('hex') !== hex) {
    throw new ArtifactError('object_corrupt', { detail: 'The stored bytes are not those of the address.' })
  }
  yield* held
}
