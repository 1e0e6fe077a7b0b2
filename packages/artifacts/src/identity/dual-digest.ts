/**
 * Two digests of the same bytes in one pass over them (06 §2): the primary, which names them here, and SHA-256, which
 * names them everywhere else.
 */
import { ArtifactError } from '../artifact-error.ts'
import { abortable } from './abortable.ts'
import { type AlgorithmName, getAlgorithm, primaryAlgorithmDefault } from './algorithms.ts'
import { type Digest, makeDigest } from './content-address.ts'
import type { Hasher } from './hasher.ts'

export interface DigestPair {
  readonly primary: Digest
  readonly sha256: Digest
  readonly sizeBytes: number
}

/** Computes both digests as the bytes come. Not to be used after `digest`. */
export class DualDigest {
  readonly #primaryAlgorithm: AlgorithmName
  readonly #primary: Hasher
  /** Null: the primary is SHA-256, and the bytes are hashed once. */
  readonly #sha256: Hasher | null
  #sizeBytes = 0

  /** @throws ArtifactError `algorithm_unknown` */
  constructor(primary: AlgorithmName = primaryAlgorithmDefault) {
    this.#primaryAlgorithm = primary
    this.#primary = getAlgorithm(primary).create()
    this.#sha256 = primary === 'sha256' ? null : getAlgorithm('sha256').create()
  }

  /**
   * Adds bytes, any number of them; they may be changed as soon as this returns.
   *
   * @throws ArtifactError `invalid_chunk`: it is not a Uint8Array
   */
  update(chunk: Uint8Array): void {
    if (!(chunk instanceof Uint8Array)) {
      throw new ArtifactError('invalid_chunk', { detail: `A chunk is a Uint8Array; this one is ${typeName(chunk)}.` })
    }
    this.#primary.update(chunk)
    this.#sha256?.update(chunk)
    this.#sizeBytes += chunk.length
  }

  digest(): DigestPair {
    const primary = digestOf(this.#primaryAlgorithm, this.#primary)
    const sha256 = this.#sha256 === null ? primary : digestOf('sha256', this.#sha256)
    return Object.freeze({ primary, sha256, sizeBytes: this.#sizeBytes })
  }
}

/**
 * Digests everything that a source gives, holding one chunk at a time.
 *
 * @throws ArtifactError `invalid_chunk`, `algorithm_unknown`; the reason of `signal`; errors of the source as they are
 */
export async function digestStream(
  source: AsyncIterable<Uint8Array>,
  o: { readonly primary?: AlgorithmName; readonly signal?: AbortSignal } = {},
): Promise<DigestPair> {
  const digest = new DualDigest(o.primary)
  for await (const chunk of abortable(source, o.signal)) digest.update(chunk)
  return digest.digest()
}

/** @throws ArtifactError `invalid_chunk`, `algorithm_unknown` */
export function digestBytes(bytes: Uint8Array, o: { readonly primary?: AlgorithmName } = {}): DigestPair {
  const digest = new DualDigest(o.primary)
  digest.update(bytes)
  return digest.digest()
}

function digestOf(algorithm: AlgorithmName, hasher: Hasher): Digest {
  return makeDigest(algorithm, Buffer.from(hasher.digest()).toString('hex'))
}

function typeName(value: unknown): string {
  return value === null ? 'null' : typeof value
}
