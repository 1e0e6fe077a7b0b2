import type { ContentAddress } from '../../../identity/content-address.ts'
import type { StagedBlob } from '../../spi.ts'
import type { ObjectUpload } from './object-upload.ts'

/** A blob whose address is expected, and that goes to the bucket while it comes: nothing is under the key before its end. */
export class DirectBlob implements StagedBlob {
  readonly expected: ContentAddress
  readonly #upload: ObjectUpload

  constructor(upload: ObjectUpload, expected: ContentAddress) {
    this.#upload = upload
    this.expected = expected
  }

  get sizeBytes(): number {
    return this.#upload.sizeBytes
  }

  write(chunk: Uint8Array): Promise<void> {
    return this.#upload.write(chunk)
  }

  /** Makes the object. */
  finish(): Promise<void> {
    return this.#upload.complete()
  }

  discard(): Promise<void> {
    return this.#upload.abort()
  }
}
