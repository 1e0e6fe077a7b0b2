/**
 * A finalized package as a directory: the manifest is checked against its digest, every path for this system, and every
 * file against both of its digests.
 */
import { buffer } from 'node:stream/consumers'
import {
  ArtifactError,
  DualDigest,
  decodeManifest,
  digestEquals,
  type ManifestFile,
  manifestDigest,
} from '@claudemesh/artifacts'
import type { Artifacts } from '@claudemesh/client'
import { NewTree } from '../tree/new-tree.ts'
import { atOnce } from './at-once.ts'

export interface PullOptions {
  readonly packageId: string
  /** New, or empty. */
  readonly directory: string
  readonly signal: AbortSignal
  /** Is told first what there is, and then of each part that was written. */
  readonly onProgress: (o: { readonly bytes: number }) => void
}

export interface Pulled {
  readonly packageId: string
  readonly manifestDigest: string
  readonly files: number
  readonly bytes: number
}

const filesAtOnce = 8

/** @throws MeshError; nothing is left then */
export async function pullPackage(artifacts: Artifacts, o: PullOptions): Promise<Pulled> {
  const { packageId, directory, signal } = o
  const { manifest, digest } = await readManifest(artifacts, packageId, signal)
  const tree = await NewTree.create(directory)
  try {
    await atOnce(manifest.files, { max: filesAtOnce, signal }, async (file, fileSignal) => {
      const { bytes } = await artifacts.downloadContent(file.content_address, { signal: fileSignal })
      await tree.write(file.relative_path, checked(bytes, file, o.onProgress))
    })
    signal.throwIfAborted()
    await tree.finish()
  } catch (error) {
    await tree.discard()
    throw error
  }
  return { packageId, manifestDigest: digest, files: manifest.files.length, bytes: manifest.package.total_size_bytes }
}

/** The manifest that the package was sealed by, and no other. */
async function readManifest(artifacts: Artifacts, packageId: string, signal: AbortSignal) {
  const { bytes } = await artifacts.manifest(packageId, 'cbor', { signal })
  const manifest = decodeManifest(await buffer(bytes))
  const digest = manifestDigest(manifest)
  const { manifest_digest: sealed } = await artifacts.package(packageId)
  if (digest !== sealed || manifest.package.package_id !== packageId) {
    throw new ArtifactError('digest_mismatch', {
      detail: 'The manifest is not the one that the package was sealed by.',
    })
  }
  return { manifest, digest }
}

async function* checked(
  bytes: AsyncIterable<Uint8Array>,
  file: ManifestFile,
  onProgress: PullOptions['onProgress'],
): AsyncGenerator<Uint8Array> {
  const hash = new DualDigest(file.digest_algorithm)
  for await (const chunk of bytes) {
    hash.update(chunk)
    yield chunk
    onProgress({ bytes: chunk.length })
  }
  const { primary, sha256, sizeBytes } = hash.digest()
  const expected = { algorithm: file.digest_algorithm, hex: file.digest_primary }
  if (sizeBytes === file.size_bytes && digestEquals(primary, expected) && sha256.hex === file.digest_sha256) return
  throw new ArtifactError('digest_mismatch', {
    detail: `The bytes of ${file.relative_path} are not those of the manifest.`,
  })
}
