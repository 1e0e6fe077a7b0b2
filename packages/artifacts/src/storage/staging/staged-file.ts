import { constants } from 'node:fs'
import { type FileHandle, link, open, rm } from 'node:fs/promises'
import { toArtifactError } from '../io-error.ts'
import type { StagedBlob } from '../spi.ts'

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } = constants
/** Read-only from the start: what is published never changes, and its writer has the open file. */
const objectMode = 0o400

/** A file that is being written in the staging directory, and belongs to nobody but its writer. */
export class StagedFile implements StagedBlob {
  readonly path: string
  readonly #handle: FileHandle
  #sizeBytes = 0
  #failure: unknown = null
  #closed = false
  #isDurable = false
  #duplicate: string | null = null

  private constructor(path: string, handle: FileHandle) {
    this.path = path
    this.#handle = handle
  }

  static async create(path: string): Promise<StagedFile> {
    try {
      return new StagedFile(path, await open(path, O_CREAT | O_EXCL | O_NOFOLLOW | O_WRONLY, objectMode))
    } catch (error) {
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
  }

  /**
   * Makes the bytes durable and closes the file. After a failure it fails for ever: the kernel has dropped what it could
   * not write, and a later sync that succeeds says nothing about it.
   */
  async finish(): Promise<void> {
    if (this.#isDurable) return
    await this.#attempt(() => this.#handle.sync())
    this.#isDurable = true
    await this.#close()
  }

  /** Gives the file a second name, which a rename can take away while this one stays. @returns it */
  async duplicate(): Promise<string> {
    const path = `${this.path}-kept`
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

  async discard(): Promise<void> {
    await this.#close()
    await rm(this.path, { force: true })
    if (this.#duplicate !== null) await rm(this.#duplicate, { force: true })
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
    await this.#handle.close()
  }
}
