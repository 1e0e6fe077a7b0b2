/**
 * How much the store of artifacts occupies, and how much it may still take of the disk budget (03 §2). The store is too
 * large to be walked through as often as the disk is measured: it is so now and then, and in between what came is added.
 */
import { lstat, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { MeshError } from '@claudemesh/protocol'
import type { DiskMeasurement } from '@claudemesh/storage'

/** `stat` counts blocks of this size, whatever the file system's own is. */
const statBlockBytes = 512

export interface ArtifactRoomOptions {
  /** What the store is in; none of them lies in another. */
  readonly directories: readonly string[]
  /** Whether its bytes are on another file system than the one that is measured: of that only the budget counts. */
  readonly isElsewhere: boolean
  readonly disk: () => DiskMeasurement
}

export class ArtifactRoom {
  readonly #o: ArtifactRoomOptions
  #bytes = 0
  /** What of it the latest measurement of the disk knows. */
  #countedBytes = 0
  #comingBytes = 0

  constructor(o: ArtifactRoomOptions) {
    this.#o = o
  }

  /** Bytes that the store occupies, for a measurement of the disk that is made now. */
  count(): number {
    this.#countedBytes = this.#bytes
    return this.#bytes
  }

  /** Walks through all of it. */
  async measure(): Promise<void> {
    let bytes = 0
    for (const directory of this.#o.directories) bytes += await occupiedBytes(directory)
    this.#bytes = bytes
  }

  /** Says that so many bytes were stored. */
  taken(bytes: number): void {
    this.#bytes += bytes
  }

  /** @throws MeshError `insufficient_storage`: so many bytes more are too many */
  assertFits(bytes: number): void {
    const left = this.#leftBytes() - this.#comingBytes
    if (left <= 0 || bytes > left) throw noRoom()
  }

  /** Bytes on their way into the store, as long as there is room for them. @throws MeshError `insufficient_storage` */
  async *within(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    let bytes = 0
    try {
      for await (const chunk of source) {
        bytes += chunk.length
        this.#comingBytes += chunk.length
        if (this.#comingBytes > this.#leftBytes()) throw noRoom()
        yield chunk
      }
    } finally {
      this.#comingBytes -= bytes
    }
  }

  #leftBytes(): number {
    const { isElsewhere, disk } = this.#o
    const { usedBytes, budgetBytes, availableBytes, pressure } = disk()
    if (isElsewhere && budgetBytes === null) return Number.POSITIVE_INFINITY
    if (!isElsewhere && pressure === 'full') return 0
    const left = isElsewhere ? (budgetBytes ?? 0) - usedBytes : availableBytes
    return left - (this.#bytes - this.#countedBytes)
  }
}

function noRoom(): MeshError {
  return new MeshError('insufficient_storage', { detail: 'The disk budget has no room for this file' })
}

async function occupiedBytes(directory: string): Promise<number> {
  let bytes = 0
  for (const entry of await readdir(directory, { withFileTypes: true }).catch(ignoreMissing)) {
    const path = join(directory, entry.name)
    bytes += entry.isDirectory() ? await occupiedBytes(path) : await blockBytes(path)
  }
  return bytes
}

/** A file that went away since its directory was read occupies nothing. */
async function blockBytes(path: string): Promise<number> {
  const [stats] = await Promise.all([lstat(path)]).catch(ignoreMissing)
  return (stats?.blocks ?? 0) * statBlockBytes
}

function ignoreMissing(error: unknown): never[] {
  if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  return []
}
