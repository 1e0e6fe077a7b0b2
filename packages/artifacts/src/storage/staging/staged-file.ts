import { constants } from 'node:fs'
import { type FileHandle, link, open, rm, unlink } from 'node:fs/promises'
import { errnoOf, toArtifactError } from '../io-error.ts'
import type { StagedBlob } from '../spi.ts'

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_RDONLY, O_WRONLY } = constants
/** Read-only from the start: what is published never changes, and its writer has the open file. */
const objectMode = 0o400

/** How a file that is there already is taken. */
interface Present {
  readonly sizeBytes: number
  readonly flags: number
  readonly prepare: (handle: FileHandle) => Promise<void>
}

/** A file that is being written in the staging directory, and belongs to nobody but its writer. */
export class StagedFile implements StagedBlob {
  readonly path: string
  readonly #handle: FileHandle
  /** Bytes after which what was written is synced beside the writing of more; null: only at the end, if at all. */
  readonly #syncEvery: number | null
  #sizeBytes = 0
  #syncedTo = 0
  #syncing: Promise<void> | null = null
  #failure: unknown = null
  #closed = false
  #isDurable = false
  #duplicate: string | null = null

  private constructor(path: string, handle: FileHandle, syncEvery: number | null = null) {
    this.path = path
    this.#handle = handle
    this.#syncEvery = syncEvery
  }

  /** @param o.syncEvery for a file that will be made durable: how many bytes it may be behind, so that the end is soon */
  static async create(path: string, o: { readonly syncEvery?: number } = {}): Promise<StagedFile> {
    try {
      const handle = await open(path, O_CREAT | O_EXCL | O_NOFOLLOW | O_WRONLY, objectMode)
      return new StagedFile(path, handle, o.syncEvery)
    } catch (error) {
      throw toArtifactError(error)
    }
  }

  /**
   * Goes on with a file of which so many bytes are known to be there; what comes after them is dropped.
   *
   * @returns null when there are fewer
   * @throws ArtifactError `storage_io`
   */
  static async reopen(path: string, sizeBytes: number): Promise<StagedFile | null> {
    return StagedFile.#openPresent(path, {
      sizeBytes,
      flags: O_WRONLY,
      prepare: (handle) => handle.truncate(sizeBytes),
    })
  }

  /**
   * Takes a file that is complete, to be published and never changed again.
   *
   * @returns null when it has fewer bytes
   * @throws ArtifactError `storage_io`
   */
  static async adopt(path: string, sizeBytes: number): Promise<StagedFile | null> {
    return StagedFile.#openPresent(path, { sizeBytes, flags: O_RDONLY, prepare: (handle) => handle.chmod(objectMode) })
  }

  static async #openPresent(path: string, o: Present): Promise<StagedFile | null> {
    let handle: FileHandle | null = null
    try {
      handle = await open(path, o.flags | O_NOFOLLOW)
      if ((await handle.stat()).size < o.sizeBytes) {
        await handle.close()
        return null
      }
      await o.prepare(handle)
      const staged = new StagedFile(path, handle)
      staged.#sizeBytes = o.sizeBytes
      return staged
    } catch (error) {
      await handle?.close()
      if (errnoOf(error) === 'ENOENT') return null
      throw toArtifactError(error)
    }
  }

  get sizeBytes(): number {
    return this.#sizeBytes
  }

  async write(chunk: Uint8Array): Promise<void> {
    const start = this.#sizeBytes
    this.#sizeBytes += chunk.length
    await this.#attempt(async () => {
      // A write may take less than it was given.
      for (let done = 0; done < chunk.length; ) {
        done += (await this.#handle.write(chunk, done, chunk.length - done, start + done)).bytesWritten
      }
    })
    this.#syncBehind()
  }

  /**
   * Makes the bytes durable and closes the file. After a failure it fails for ever: the kernel has dropped what it could
   * not write, and a later sync that succeeds says nothing about it.
   */
  async finish(): Promise<void> {
    if (this.#isDurable) return
    await this.#syncing
    await this.#attempt(() => this.#handle.sync())
    this.#isDurable = true
    await this.#close()
  }

  /** Makes the bytes written so far durable, and leaves the file open. A failure is for ever, as that of `finish`. */
  async sync(): Promise<void> {
    await this.#attempt(() => this.#handle.datasync())
  }

  /** Gives the file another name beside its own. @returns false: something is there already */
  async linkTo(path: string): Promise<boolean> {
    try {
      await link(this.path, path)
      return true
    } catch (error) {
      if (errnoOf(error) === 'EEXIST') return false
      throw error
    }
  }

  /** Gives the file a second name, which a rename can take away while this one stays. @returns it */
  async duplicate(): Promise<string> {
    const path = secondName(this.path)
    this.#duplicate = path
    await rm(path, { force: true })
    await link(this.path, path)
    return path
  }

  /**
   * Closes the file without making it durable, for bytes that are copied elsewhere.
   *
   * @throws ArtifactError whatever a write failed with
   */
  async close(): Promise<void> {
    await this.#close()
    if (this.#failure !== null) throw this.#failure
  }

  /** Closes the file, whatever came of it, and drops what comes after so many bytes, as far as that can be done. */
  async cut(sizeBytes: number): Promise<void> {
    // What cannot be dropped now is dropped when the file is opened again.
    await this.#handle.truncate(sizeBytes).catch(() => undefined)
    await this.#close()
  }

  /** Closes the file, whatever came of it, and leaves it where it is. */
  async release(): Promise<void> {
    await this.#close()
  }

  async discard(): Promise<void> {
    await this.#close()
    // A put that was not to keep it has renamed it.
    await unlink(this.path).catch((error: unknown) => {
      if (errnoOf(error) !== 'ENOENT') throw error
    })
    if (this.#duplicate !== null) await rm(this.#duplicate, { force: true })
  }

  /** Removes a file that nobody has open, and the second name that it may have. */
  static async remove(path: string): Promise<void> {
    await rm(path, { force: true })
    await rm(secondName(path), { force: true })
  }

  /** The disk takes what is there while more is hashed. A failure is for ever here too. */
  #syncBehind(): void {
    const written = this.#sizeBytes
    if (this.#syncEvery === null || this.#syncing !== null || written - this.#syncedTo < this.#syncEvery) return
    this.#syncing = this.#handle
      .datasync()
      .catch((error: unknown) => {
        this.#failure ??= toArtifactError(error)
      })
      .then(() => {
        this.#syncedTo = written
        this.#syncing = null
      })
  }

  async #attempt(work: () => Promise<void>): Promise<void> {
    if (this.#failure !== null) throw this.#failure
    try {
      await work()
    } catch (error) {
      this.#failure = toArtifactError(error)
      throw this.#failure
    }
  }

  async #close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await this.#syncing
    await this.#handle.close()
  }
}

function secondName(path: string): string {
  return `${path}-kept`
}
