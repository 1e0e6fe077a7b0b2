/**
 * Small files that are replaced whole.
 *
 * 1. A reader, and whoever starts after a crash, sees the old content or the new, never a part.
 * 2. When `writeFileAtomic` returns, the new content and its name survive a power cut: written, synced, renamed, and
 *    the directory synced. Without the last step the newest version is lost.
 * 3. A failure leaves the old content and no temporary file. Only a kill in between can leave one behind; its name
 *    begins with a dot and ends with `.tmp`, and nothing ever reads it.
 */
import { randomBytes } from 'node:crypto'
import { closeSync, fchmodSync, fsyncSync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { crashPoint } from './crash-point.ts'
import { toStorageError } from './storage-error.ts'

/**
 * Replaces the content of a file.
 *
 * @param options `mode`: the permission bits of the new file, whatever the umask says
 * @throws MeshError `insufficient_storage` or `storage_failed`; other failures of the file system as they are
 */
export function writeFileAtomic(path: string, data: string | Uint8Array, options: { readonly mode: number }): void {
  const directory = dirname(path)
  const temporary = join(directory, `.${basename(path)}.${randomBytes(6).toString('hex')}.tmp`)
  try {
    writeAndSync(openSync(temporary, 'wx', options.mode), data, options.mode)
    crashPoint('atomic_file.before_rename')
    renameSync(temporary, path)
    crashPoint('atomic_file.renamed')
    syncDirectory(directory)
  } catch (error) {
    rmSync(temporary, { force: true })
    throw toStorageError(error, path)
  }
}

/**
 * Makes a file that is not there yet. When this returns, its content and its name survive a power cut; a failure leaves
 * no file.
 *
 * @param options `mode`: the permission bits of the file, whatever the umask says
 * @throws EEXIST and whatever else keeps the file from being made as it is; MeshError `insufficient_storage` or
 *   `storage_failed` after that
 */
export function writeNewFile(path: string, data: string | Uint8Array, options: { readonly mode: number }): void {
  const descriptor = openSync(path, 'wx', options.mode)
  try {
    writeAndSync(descriptor, data, options.mode)
    syncDirectory(dirname(path))
  } catch (error) {
    rmSync(path, { force: true })
    throw toStorageError(error, path)
  }
}

/** Makes the names in a directory durable: files created, renamed or removed in it. */
export function syncDirectory(path: string): void {
  const descriptor = openSync(path, 'r')
  try {
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}

function writeAndSync(descriptor: number, data: string | Uint8Array, mode: number): void {
  try {
    fchmodSync(descriptor, mode)
    writeFileSync(descriptor, data)
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}
