/** Where the bytes of blobs are: a directory, or a bucket with a directory in which they wait as they come. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { LocalBackend, S3Backend, Spool, type StorageBackend } from '@claudemesh/artifacts/blobs'
import { MeshError } from '@claudemesh/protocol'
import { ensurePrivateDirectory, writeFileAtomic, writeNewFile } from '@claudemesh/storage'
import type { BucketConfig, RelayConfig } from '../config.ts'
import type { Runtime } from '../runtime.ts'

export interface BlobPlace {
  /** The same for every broker that has these blobs, and for no other place. */
  readonly name: string
  readonly backend: StorageBackend
  readonly spool: Spool
  close(): void
}

/** Parts of an upload to a bucket; ten thousand of them hold the largest blob. */
const partBytes = 16 * 1024 * 1024

/** @throws MeshError `config_invalid`, `unsafe_permissions` */
export async function openBlobPlace(config: RelayConfig, runtime: Runtime): Promise<BlobPlace> {
  const { directory, bucket } = config
  const clock = { now: () => runtime.now(), nextId: () => runtime.nextId() }
  ensurePrivateDirectory(directory)
  const spool = Spool.open(join(directory, 'uploads'))
  if (bucket !== null) {
    const backend = await openBucket(bucket, { ...clock, spoolRoot: join(directory, 'staging') })
    return { name: nameOfBucket(bucket), backend, spool, close: () => backend.close() }
  }
  const backend = await LocalBackend.open({ backendId: 'local', root: join(directory, 'objects'), ...clock })
  return { name: nameOfDirectory(directory, clock.nextId), backend, spool, close: () => backend.close() }
}

async function openBucket(
  bucket: BucketConfig,
  o: { readonly spoolRoot: string; readonly now: () => number; readonly nextId: () => string },
): Promise<S3Backend> {
  try {
    return await S3Backend.open({
      ...bucket,
      ...o,
      backendId: 's3',
      storageClass: null,
      sse: null,
      multipartThresholdBytes: partBytes,
      multipartChunkBytes: partBytes,
    })
  } catch (error) {
    if (error instanceof MeshError) throw error
    const reason = error instanceof Error ? error.message : String(error)
    throw new MeshError('config_invalid', {
      detail: `the bucket for blobs cannot be used: ${reason}`,
      data: { field: 'CLAUDEMESH_BROKER_BLOB_S3_ACCESS_KEY_REF' },
      hint: 'Name the keys with env:NAME or file:/path in CLAUDEMESH_BROKER_BLOB_S3_ACCESS_KEY_REF and _SECRET_KEY_REF.',
      cause: error,
    })
  }
}

function nameOfBucket({ endpointUrl, region, bucket, keyPrefix }: BucketConfig): string {
  return `s3:${endpointUrl ?? region}/${bucket}/${keyPrefix}`
}

/** What the directory itself says, so that it is known again under another path, and an empty one in its place is not. */
function nameOfDirectory(directory: string, nextId: () => string): string {
  const path = join(directory, 'place')
  const name = `directory:${nextId()}`
  try {
    writeNewFile(path, `${name}\n`, { mode: 0o600 })
    return name
  } catch (error) {
    if (!existsSync(path)) throw error
  }
  const known = readFileSync(path, 'utf8').trim()
  if (known !== '') return known
  // Whoever made it was killed before it wrote.
  writeFileAtomic(path, `${name}\n`, { mode: 0o600 })
  return name
}
