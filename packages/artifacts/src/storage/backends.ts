import { ArtifactError } from '../artifact-error.ts'
import type { StorageBackend } from './spi.ts'

const backendIdPattern = /^[a-z][a-z0-9-]{0,31}$/

/** The backends of one store, found by the id that its records name. */
export class Backends {
  readonly #backends = new Map<string, StorageBackend>()

  /** @throws ArtifactError `backend_exists`; RangeError when the id is not well-formed, which is a mistake of ours */
  register(backend: StorageBackend): void {
    const { backendId } = backend
    if (!backendIdPattern.test(backendId)) throw new RangeError('a backend id is a-z, then up to 31 of a-z, 0-9 and -')
    if (this.#backends.has(backendId)) {
      throw new ArtifactError('backend_exists', { detail: `There is a backend ${backendId} already.` })
    }
    this.#backends.set(backendId, backend)
  }

  /** @throws ArtifactError `backend_unknown` */
  get(backendId: string): StorageBackend {
    const backend = this.#backends.get(backendId)
    if (backend === undefined) {
      throw new ArtifactError('backend_unknown', { detail: `No storage backend ${backendId} is set up here.` })
    }
    return backend
  }

  /** Ids in order of registration. */
  list(): string[] {
    return [...this.#backends.keys()]
  }
}
