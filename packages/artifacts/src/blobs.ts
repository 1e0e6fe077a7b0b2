/** What of the artifacts a relay for sealed bytes needs: addresses and places for bytes. Nothing here can open any. */

export { Spool } from './dataplane/spool/spool.ts'
export { type ContentAddress, formatContentAddress, parseContentAddress } from './identity/content-address.ts'
export { listObjects } from './storage/backends/local/list-objects.ts'
export { LocalBackend } from './storage/backends/local/local-backend.ts'
export { S3Backend } from './storage/backends/s3/s3-backend.ts'
export { objectKey } from './storage/object-key.ts'
export type { ByteRange, StorageBackend, StoredObject } from './storage/spi.ts'
