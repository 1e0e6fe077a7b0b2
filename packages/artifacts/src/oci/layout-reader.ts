/**
 * An OCI image layout that somebody else has made, as a directory. Nothing in it is believed: no link is followed, names of
 * files are made of checked digests only, and what is read is what its descriptor says or is refused.
 */
import { constants } from 'node:fs'
import { type FileHandle, lstat, open } from 'node:fs/promises'
import { join } from 'node:path'
import { ArtifactError } from '../artifact-error.ts'
import { type AlgorithmName, isAlgorithm } from '../identity/algorithms.ts'
import {
  type Digest,
  digestEquals,
  formatContentAddress,
  parseContentAddress,
  toDigest,
} from '../identity/content-address.ts'
import { type DigestPair, digestStream } from '../identity/dual-digest.ts'
import { errnoOf, toArtifactError } from '../storage/io-error.ts'
import { type Descriptor, documentBytesMax, invalidLayout, parseLayoutFile } from './documents.ts'

const readBytes = 1024 * 1024
const layoutFileBytesMax = 4096

export class LayoutReader {
  readonly #directory: string

  /** @throws ArtifactError `invalid_layout`: it is no layout of version 1.0.0; `storage_io` */
  static async open(directory: string): Promise<LayoutReader> {
    const reader = new LayoutReader(directory)
    const { imageLayoutVersion } = parseLayoutFile(await reader.#readSmall('oci-layout', layoutFileBytesMax))
    if (imageLayoutVersion !== '1.0.0') {
      throw invalidLayout('version', 'Version 1.0.0 is read here, and this is of another one.')
    }
    await reader.#assertDirectory('blobs')
    return reader
  }

  private constructor(directory: string) {
    this.#directory = directory
  }

  /** The bytes of `index.json`. @throws ArtifactError `invalid_layout`, `storage_io` */
  readIndex(): Promise<Uint8Array> {
    return this.#readSmall('index.json', documentBytesMax)
  }

  /**
   * The bytes of a blob that is a document.
   *
   * @throws ArtifactError `invalid_layout`, `algorithm_unsupported`, `invalid_content_address`, `size_mismatch`,
   *   `digest_mismatch`, `storage_io`
   */
  async readDocument(descriptor: Descriptor): Promise<Uint8Array> {
    if (descriptor.size > documentBytesMax) throw tooLarge()
    const chunks: Uint8Array[] = []
    await this.#digest(descriptor, 'blake3', (chunk) => chunks.push(chunk))
    return Buffer.concat(chunks)
  }

  /** Reads all of a blob and checks it. @throws as `readDocument` */
  checkBlob(descriptor: Descriptor, primary: AlgorithmName): Promise<DigestPair> {
    return this.#digest(descriptor, primary, () => undefined)
  }

  /** The bytes of a blob as they are now; whoever takes them checks them again. */
  async *readBlob(descriptor: Descriptor): AsyncIterable<Uint8Array> {
    const { algorithm, hex } = blobDigest(descriptor)
    const handle = await this.#open('blobs', algorithm, hex)
    try {
      const { size } = await handle.stat()
      if (size !== descriptor.size) throw sizeMismatch(descriptor, size)
      yield* readAll(handle)
    } catch (error) {
      throw toArtifactError(error)
    } finally {
      await handle.close()
    }
  }

  async #digest(descriptor: Descriptor, primary: AlgorithmName, see: (chunk: Uint8Array) => void): Promise<DigestPair> {
    const named = blobDigest(descriptor)
    const body = this.readBlob(descriptor)
    async function* seen() {
      for await (const chunk of body) {
        see(chunk)
        yield chunk
      }
    }
    // SHA-256 comes with every pair, and what is named by another algorithm is digested by that one.
    const pair = await digestStream(seen(), { primary: named.algorithm === 'sha256' ? primary : named.algorithm })
    if (pair.sizeBytes !== descriptor.size) throw sizeMismatch(descriptor, pair.sizeBytes)
    const actual = named.algorithm === 'sha256' ? pair.sha256 : pair.primary
    if (!digestEquals(actual, named)) {
      throw new ArtifactError('digest_mismatch', {
        detail: `The blob ${descriptor.digest} holds the bytes of ${formatContentAddress(actual)}.`,
      })
    }
    return pair
  }

  async #readSmall(name: string, bytesMax: number): Promise<Uint8Array> {
    const handle = await this.#open(name)
    try {
      if ((await handle.stat()).size > bytesMax) throw tooLarge()
      const chunks: Uint8Array[] = []
      for await (const chunk of readAll(handle)) chunks.push(chunk)
      return Buffer.concat(chunks)
    } catch (error) {
      throw toArtifactError(error)
    } finally {
      await handle.close()
    }
  }

  async #open(...names: readonly string[]): Promise<FileHandle> {
    // The directory between: the last name is guarded by O_NOFOLLOW.
    if (names.length > 1) await this.#assertDirectory(...names.slice(0, -1))
    const name = names.join('/')
    // Without O_NONBLOCK a pipe would hold the reader for ever before it is known for one.
    const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
    const handle = await open(join(this.#directory, ...names), flags).catch((error: unknown) => {
      throw readError(error, name)
    })
    if ((await handle.stat()).isFile()) return handle
    await handle.close()
    throw invalidLayout('not_a_file', `${name} is not a regular file.`)
  }

  async #assertDirectory(...names: readonly string[]): Promise<void> {
    const name = names.join('/')
    const stats = await lstat(join(this.#directory, ...names)).catch((error: unknown) => {
      throw readError(error, name)
    })
    if (!stats.isDirectory()) throw invalidLayout('not_a_file', `${name} is not a directory.`)
  }
}

/**
 * The digest that names a blob.
 *
 * @throws ArtifactError `algorithm_unsupported`: it is by an algorithm that is not known here; `invalid_content_address`
 */
export function blobDigest(descriptor: Descriptor): Digest {
  const [algorithm = ''] = descriptor.digest.split(':', 1)
  if (algorithm !== descriptor.digest && !isAlgorithm(algorithm)) {
    throw new ArtifactError('algorithm_unsupported', {
      detail: `A blob is named by the digest algorithm ${JSON.stringify(algorithm)}; sha256 and blake3 are read here.`,
    })
  }
  return toDigest(parseContentAddress(descriptor.digest))
}

async function* readAll(handle: FileHandle): AsyncIterable<Uint8Array> {
  for (;;) {
    const { bytesRead, buffer } = await handle.read(Buffer.allocUnsafe(readBytes), 0, readBytes, null)
    if (bytesRead === 0) return
    yield buffer.subarray(0, bytesRead)
  }
}

function readError(error: unknown, name: string): unknown {
  const code = errnoOf(error)
  if (code === 'ENOENT' || code === 'ENOTDIR') return invalidLayout('missing', `${name} is not there.`, error)
  if (code === 'ELOOP') return invalidLayout('not_a_file', `${name} is a symbolic link.`, error)
  return toArtifactError(error)
}

function sizeMismatch(descriptor: Descriptor, size: number): ArtifactError {
  return new ArtifactError('size_mismatch', {
    detail: `The blob ${descriptor.digest} should have ${descriptor.size} bytes, and has ${size}.`,
  })
}

function tooLarge(): ArtifactError {
  return invalidLayout('too_large', `A document has more than ${documentBytesMax} bytes.`)
}
