/**
 * The registry of digest algorithms (06 §2). An address names its algorithm, so a new one can be added without touching
 * what is stored. `blake3` and `sha256` are registered when this module is loaded.
 */
import { createHash } from 'node:crypto'
import { ArtifactError } from '../artifact-error.ts'
import { blake3Provider } from './blake3.ts'
import type { Hasher } from './hasher.ts'

/** The registered name of a digest algorithm, as it stands before the colon of an address. */
export type AlgorithmName = string

export interface Algorithm {
  readonly name: AlgorithmName
  /** Length of the digest in hexadecimal digits; even. */
  readonly hexLength: number
  readonly create: () => Hasher
}

/** What the names of algorithms look like; a part of the digest grammar of OCI descriptors. */
export const algorithmNamePattern = /^[a-z][a-z0-9]*(?:[-_][a-z0-9]+)*$/
export const algorithmNameLengthMax = 32

const algorithms = new Map<AlgorithmName, Algorithm>()

/**
 * Adds an algorithm for the whole process.
 *
 * @throws ArtifactError `algorithm_invalid`: the name is not well-formed or taken, or the length is odd or not positive
 */
export function registerAlgorithm(algorithm: Algorithm): void {
  const { name, hexLength } = algorithm
  const refuse = (detail: string) => new ArtifactError('algorithm_invalid', { detail })
  if (typeof name !== 'string' || name.length > algorithmNameLengthMax || !algorithmNamePattern.test(name)) {
    throw refuse('The name of an algorithm is 1 to 32 lower-case letters and digits, parted by single - or _.')
  }
  if (!Number.isSafeInteger(hexLength) || hexLength <= 0 || hexLength % 2 !== 0) {
    throw refuse(`The length of ${name} is not a positive even number of hexadecimal digits.`)
  }
  if (algorithms.has(name)) throw refuse(`The algorithm ${name} is registered already.`)
  algorithms.set(name, Object.freeze({ ...algorithm }))
}

/** @throws ArtifactError `algorithm_unknown` */
export function getAlgorithm(name: AlgorithmName): Algorithm {
  const algorithm = algorithms.get(name)
  if (algorithm === undefined) {
    throw new ArtifactError('algorithm_unknown', { detail: `No digest algorithm is registered as ${String(name)}.` })
  }
  return algorithm
}

/** Whether a name is registered. */
export function isAlgorithm(name: string): boolean {
  return algorithms.has(name)
}

/** The registered names, in order of registration. */
export function listAlgorithms(): AlgorithmName[] {
  return [...algorithms.keys()]
}

/** The algorithm of addresses unless another is asked for. */
export const primaryAlgorithmDefault: AlgorithmName = 'blake3'

registerAlgorithm({ name: 'blake3', hexLength: 64, create: () => blake3Provider.create() })
registerAlgorithm({
  name: 'sha256',
  hexLength: 64,
  create: () => {
    const hash = createHash('sha256')
    return { update: (chunk) => void hash.update(chunk), digest: () => hash.digest() }
  },
})
