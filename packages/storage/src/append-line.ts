/**
 * Files of lines that only grow.
 *
 * 1. When `appendLine` returns, the line survives a power cut: written, synced, and the directory synced.
 * 2. A line that a power cut or a full disk cut short stays by itself: the next one begins on a line of its own. A
 *    reader therefore has to expect lines that are no line of its format; nobody was ever told that they are there.
 * 3. Several processes may append at once: each line is written at the end as it then is.
 */
import { closeSync, fstatSync, fsyncSync, openSync, readSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { syncDirectory } from './atomic-file.ts'
import { toStorageError } from './storage-error.ts'

/**
 * Appends a line, making the file when there is none.
 *
 * @param line without its end
 * @param options `mode`: the permission bits of a new file, less the umask
 * @throws MeshError `insufficient_storage` or `storage_failed`; other failures of the file system as they are
 */
export function appendLine(path: string, line: string, options: { readonly mode: number }): void {
  try {
    const descriptor = openSync(path, 'a+', options.mode)
    try {
      writeFileSync(descriptor, `${endsWithLine(descriptor) ? '' : '\n'}${line}\n`)
      fsyncSync(descriptor)
    } finally {
      closeSync(descriptor)
    }
    syncDirectory(dirname(path))
  } catch (error) {
    throw toStorageError(error, path)
  }
}

function endsWithLine(descriptor: number): boolean {
  const { size } = fstatSync(descriptor)
  if (size === 0) return true
  const last = Buffer.alloc(1)
  readSync(descriptor, last, 0, 1, size - 1)
  return last.toString() === '\n'
}
