import { join } from 'node:path'
import { FileLock } from '@claudemesh/storage'
import { ArtifactError } from '../../artifact-error.ts'
import { Spool } from '../spool/spool.ts'

const lockName = 'lock'

/** The spool of one store, which one process at a time has: the first that takes an upload, until it closes the store. */
export class SpoolOfStore {
  readonly #directory: string | null
  #taken: { readonly spool: Spool; readonly lock: FileLock } | null = null

  /** @param directory null: there is none */
  constructor(directory: string | null) {
    this.#directory = directory
  }

  /** @throws ArtifactError `upload_busy`: another process has it; MeshError `unsafe_permissions` */
  take(): Spool {
    if (this.#taken !== null) return this.#taken.spool
    if (this.#directory === null) throw new Error('a data plane without a place for uploads')
    const spool = Spool.open(this.#directory)
    const lock = FileLock.acquire(join(this.#directory, lockName))
    if (lock === null) {
      throw new ArtifactError('upload_busy', { detail: 'Another process takes the uploads of this store.' })
    }
    this.#taken = { spool, lock }
    return spool
  }

  close(): void {
    this.#taken?.lock.release()
    this.#taken = null
  }
}
