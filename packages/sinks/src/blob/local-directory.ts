/**
 * Objects as files below a directory: written under a name with a dot, synced, renamed, and the directory synced. One exporter
 * at a time has a key, so that what an earlier one left under the name with the dot is nobody's any more.
 */

import { existsSync } from 'node:fs'
import { open, readdir, readFile, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { MeshError } from '@claudemesh/protocol'
import { crashPoint, makeDirectory, syncDirectory, toStorageError } from '@claudemesh/storage'
import type { BlobDestination } from './blob-destination.ts'

export class LocalDirectory implements BlobDestination {
  readonly #root: string

  /** @param root an absolute path; made when there is none */
  constructor(root: string) {
    this.#root = root
  }

  async create(key: string, bytes: Uint8Array, signal: AbortSignal): Promise<boolean> {
    const path = join(this.#root, key)
    if (existsSync(path)) return false
    const temporary = join(dirname(path), `.${basename(path)}.tmp`)
    try {
      makeDirectory(dirname(path))
      await writeSynced(temporary, bytes)
      signal.throwIfAborted()
      crashPoint('sinks.object_written')
      await rename(temporary, path)
      crashPoint('sinks.object_named')
      syncDirectory(dirname(path))
      return true
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => undefined)
      signal.throwIfAborted()
      throw toDestinationError(error, path)
    }
  }

  async read(key: string): Promise<Uint8Array> {
    try {
      return await readFile(join(this.#root, key))
    } catch (error) {
      throw toDestinationError(error, key)
    }
  }

  async *list(prefix: string): AsyncIterable<string> {
    const directory = join(this.#root, prefix)
    if (!existsSync(directory)) return
    try {
      for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
        if (!entry.isFile() || entry.name.startsWith('.')) continue
        yield join(entry.parentPath, entry.name).slice(this.#root.length + 1)
      }
    } catch (error) {
      throw toDestinationError(error, directory)
    }
  }

  close(): void {
    // It holds nothing open.
  }
}

async function writeSynced(path: string, bytes: Uint8Array): Promise<void> {
  const file = await open(path, 'w', 0o600)
  try {
    await file.writeFile(bytes)
    await file.sync()
  } finally {
    await file.close()
  }
}

/** A disk that is full is told as such; whatever else a mount or a name meets may pass. */
function toDestinationError(error: unknown, path: string): unknown {
  const known = toStorageError(error, path)
  if (known instanceof MeshError && known.code === 'insufficient_storage') return known
  const reason = error instanceof Error ? error.message : String(error)
  return new MeshError('sink_unavailable', { detail: `The directory cannot be used: ${reason}`, cause: error })
}
