/** Files of this host that are to be shared (06 §16): only regular ones, and none of the daemon's own. */
import { constants } from 'node:fs'
import { open, realpath, stat } from 'node:fs/promises'
import { basename, isAbsolute, sep } from 'node:path'
import { MeshError } from '@claudemesh/protocol'
import { sharedDirectoryFilesMax } from '../limits.ts'
import { loadLibrary } from './share-store.ts'

/** What a path leads to, without links on the way. */
export interface LocalPath {
  readonly kind: 'file' | 'directory'
  readonly path: string
  readonly name: string
}

/**
 * @param o.home the directory of all daemons of this user: nothing of it leaves
 * @throws MeshError `path_forbidden`, `invalid_path`
 */
export async function findLocalPath(o: { readonly path: string; readonly home: string }): Promise<LocalPath> {
  if (!isAbsolute(o.path) || o.path.includes('\0')) throw refused('The path is absolute')
  const [path, home] = await Promise.all([resolved(o.path), resolved(o.home)])
  if (isWithin(path, home) || isWithin(home, path)) {
    throw new MeshError('path_forbidden', { data: { field: 'path' } })
  }
  const found = await stat(path).catch(unreadable)
  if (!found.isFile() && !found.isDirectory()) throw refused('It leads to what is no regular file and no directory')
  return { kind: found.isFile() ? 'file' : 'directory', path, name: basename(path) }
}

/**
 * The regular files below a directory, by paths relative to it.
 *
 * @throws MeshError `invalid_path`: something in it is neither file nor directory, or has a name that is not text;
 *   `too_many_files`
 */
export async function listFiles(directory: string): Promise<readonly string[]> {
  const { listTree } = await loadLibrary()
  const found: string[] = []
  try {
    for await (const { path, isFile } of listTree(directory)) {
      if (!isFile) throw refused(`It holds what is no regular file and no directory: ${path}`)
      if (found.push(path) > sharedDirectoryFilesMax) throw new MeshError('too_many_files')
    }
  } catch (error) {
    if (error instanceof MeshError) throw error
    unreadable(error)
  }
  return found.sort()
}

/** The bytes of a regular file. What took its place meanwhile is not followed. @throws MeshError `invalid_path` */
export async function* readLocalFile(path: string): AsyncGenerator<Uint8Array> {
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants
  const file = await open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK).catch(unreadable)
  try {
    if (!(await file.stat()).isFile()) throw refused('It is no regular file any more')
    const bytes = Buffer.allocUnsafe(readBytes)
    for (;;) {
      const { bytesRead } = await file.read(bytes, 0, readBytes)
      if (bytesRead === 0) return
      yield Buffer.from(bytes.subarray(0, bytesRead))
    }
  } finally {
    await file.close()
  }
}

const readBytes = 256 * 1024

async function resolved(path: string): Promise<string> {
  return realpath(path).catch(unreadable)
}

function isWithin(path: string, directory: string): boolean {
  return path === directory || path.startsWith(directory.endsWith(sep) ? directory : directory + sep)
}

/** The words of the system would name paths; its code says enough. */
function unreadable(error: unknown): never {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
  throw refused(`It cannot be read (${code})`)
}

function refused(detail: string): MeshError {
  return new MeshError('invalid_path', { detail, data: { field: 'path' } })
}
