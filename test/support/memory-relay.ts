/**
 * A relay of blobs in memory, for tests of sharing without a broker. It keeps what it is given, and a test may change it,
 * break uploads and downloads off, and see who asked for what.
 */
import { MeshError } from '@claudemesh/protocol'
import type { BlobRelay, BlobToDownload, BlobToUpload } from '../../apps/daemon/src/shares/blob-relay.ts'

export class MemoryRelay implements BlobRelay {
  readonly blobs = new Map<string, Buffer>()
  readonly acknowledged: string[] = []
  readonly recipients = new Map<string, readonly string[]>()
  /** Bytes of an upload or download after which it breaks; null: it does not. */
  breaksAfter: number | null = null
  /** Where each download began. */
  readonly starts: number[] = []

  async upload({ address, sizeBytes, recipients, read }: BlobToUpload): Promise<void> {
    this.recipients.set(address, recipients)
    let held = this.blobs.get(address) ?? Buffer.alloc(0)
    if (held.length === sizeBytes) return
    for await (const chunk of read(held.length)) {
      held = Buffer.concat([held, chunk])
      this.blobs.set(address, held)
      if (this.breaksAfter !== null && held.length >= this.breaksAfter) {
        this.breaksAfter = null
        throw new MeshError('broker_unavailable')
      }
    }
    if (held.length !== sizeBytes) throw new Error('an upload has another size than was announced')
  }

  async *download({ address, start }: BlobToDownload): AsyncGenerator<Uint8Array> {
    this.starts.push(start)
    const held = this.blobs.get(address)
    if (held === undefined) throw new MeshError('blob_not_found')
    for (let at = start; at < held.length; at += 10_000) {
      if (this.breaksAfter !== null && at >= this.breaksAfter) {
        this.breaksAfter = null
        throw new MeshError('broker_unavailable')
      }
      yield held.subarray(at, at + 10_000)
    }
  }

  async acknowledge(address: string): Promise<void> {
    this.acknowledged.push(address)
  }

  /** Changes each blob that is held. */
  change(how: (blob: Buffer) => Buffer): void {
    for (const [address, blob] of this.blobs) this.blobs.set(address, how(Buffer.from(blob)))
  }
}
