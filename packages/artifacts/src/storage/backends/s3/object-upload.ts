import type { CompletedPart } from '@aws-sdk/client-s3'
import type { Bucket } from './bucket.ts'

export interface UploadLimits {
  /** An object with more bytes is uploaded in parts. At least `chunkBytes`. */
  readonly thresholdBytes: number
  readonly chunkBytes: number
}

/** Parts that are on their way at once. */
const sendingMax = 2

/**
 * One object on its way into a bucket: in one request when it is small, else in parts that are sent while it still comes.
 * It holds at most the threshold and a few parts. Nothing is under the key before `complete` has returned.
 */
export class ObjectUpload {
  readonly #bucket: Bucket
  readonly #key: string
  readonly #limits: UploadLimits
  readonly #sending = new Set<Promise<void>>()
  readonly #parts: CompletedPart[] = []
  /** Full blocks that wait to be sent, or for the threshold to be passed. */
  #waiting: Uint8Array[] = []
  #block: Buffer | null = null
  #filled = 0
  #sizeBytes = 0
  #partCount = 0
  #uploadId: Promise<string> | null = null
  #failure: { readonly error: unknown } | null = null

  constructor(o: { readonly bucket: Bucket; readonly key: string; readonly limits: UploadLimits }) {
    this.#bucket = o.bucket
    this.#key = o.key
    this.#limits = o.limits
  }

  get sizeBytes(): number {
    return this.#sizeBytes
  }

  /** Appends, in the order of the calls; the chunk may be used again at once. @throws whatever sending a part failed with */
  async write(chunk: Uint8Array): Promise<void> {
    this.#sizeBytes += chunk.length
    for (let done = 0; done < chunk.length; ) {
      this.#block ??= Buffer.allocUnsafeSlow(this.#limits.chunkBytes)
      const part = chunk.subarray(done, done + this.#block.length - this.#filled)
      this.#block.set(part, this.#filled)
      this.#filled += part.length
      done += part.length
      if (this.#filled === this.#block.length) this.#seal()
    }
    this.#send()
    while (this.#uploadId !== null && this.#waiting.length > 0 && this.#failure === null) {
      await Promise.race(this.#sending)
      this.#send()
    }
    if (this.#failure !== null) throw this.#failure.error
  }

  /** Puts the object under its key. @throws as `Bucket.put`; nothing was published then */
  async complete(): Promise<void> {
    this.#seal()
    if (this.#uploadId === null) {
      const [only, ...more] = this.#waiting
      await this.#bucket.put(this.#key, only !== undefined && more.length === 0 ? only : Buffer.concat(this.#waiting))
      return
    }
    while (this.#waiting.length + this.#sending.size > 0 && this.#failure === null) {
      this.#send()
      await Promise.race(this.#sending)
    }
    if (this.#failure !== null) throw this.#failure.error
    const parts = this.#parts.toSorted((a, b) => (a.PartNumber ?? 0) - (b.PartNumber ?? 0))
    await this.#bucket.completeUpload(this.#key, await this.#uploadId, parts)
    this.#uploadId = null
  }

  /** Drops what was sent. After `complete`, and when repeated, it changes nothing. */
  async abort(): Promise<void> {
    this.#failure ??= { error: new Error('the upload was dropped') }
    this.#waiting = []
    await Promise.all(this.#sending)
    const started = this.#uploadId
    this.#uploadId = null
    if (started === null) return
    const uploadId = await started.catch(() => null)
    // What cannot be dropped now is dropped by the rule of the bucket for uploads that were never completed.
    if (uploadId !== null) await this.#bucket.abortUpload(this.#key, uploadId).catch(() => undefined)
  }

  #seal(): void {
    if (this.#block === null || this.#filled === 0) return
    this.#waiting.push(this.#block.subarray(0, this.#filled))
    this.#block = null
    this.#filled = 0
  }

  #send(): void {
    if (this.#uploadId === null && this.#sizeBytes <= this.#limits.thresholdBytes) return
    while (this.#sending.size < sendingMax && this.#failure === null) {
      const body = this.#waiting.shift()
      if (body === undefined) return
      this.#partCount += 1
      const sending = this.#sendPart(this.#partCount, body)
        .catch((error: unknown) => {
          this.#failure ??= { error }
        })
        .then(() => void this.#sending.delete(sending))
      this.#sending.add(sending)
    }
  }

  async #sendPart(number: number, body: Uint8Array): Promise<void> {
    this.#uploadId ??= this.#bucket.beginUpload(this.#key)
    const uploadId = await this.#uploadId
    this.#parts.push(await this.#bucket.uploadPart(this.#key, { uploadId, number, body }))
  }
}
