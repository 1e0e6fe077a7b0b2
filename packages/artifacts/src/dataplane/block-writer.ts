import type { StagedBlob } from '../storage/spi.ts'

const blockBytes = 1024 * 1024
/** The first block, as most files are small. */
const firstBlockBytes = 64 * 1024
/** Blocks that may be on their way to the disk while the next one is filled. */
const blocksMax = 4

/**
 * Gathers chunks of any length into blocks and writes those while the next is filled: hashing and writing overlap, and a
 * source that is faster than the disk waits. The chunks are copied, as their owner may use them again.
 */
export class BlockWriter {
  readonly #staged: StagedBlob
  readonly #free: Buffer[] = []
  readonly #writing = new Set<Promise<void>>()
  #made = 0
  #block: Buffer | null = null
  #filled = 0
  #failure: { readonly error: unknown } | null = null

  constructor(staged: StagedBlob) {
    this.#staged = staged
  }

  /** @throws whatever a write that is on its way failed with */
  async write(chunk: Uint8Array): Promise<void> {
    for (let done = 0; done < chunk.length; ) {
      const block = this.#block ?? (await this.#nextBlock())
      this.#block = block
      const part = chunk.subarray(done, done + block.length - this.#filled)
      block.set(part, this.#filled)
      this.#filled += part.length
      done += part.length
      if (this.#filled === block.length) this.#send()
    }
  }

  /** Writes the rest and waits for everything. */
  async finish(): Promise<void> {
    if (this.#filled > 0) this.#send()
    await this.settle()
    if (this.#failure !== null) throw this.#failure.error
  }

  /** Waits until nothing is on its way, whatever comes of it: only then may the blob be dropped. */
  async settle(): Promise<void> {
    await Promise.all(this.#writing)
  }

  async #nextBlock(): Promise<Buffer> {
    while (this.#free.length === 0 && this.#made > blocksMax) await Promise.race(this.#writing)
    if (this.#failure !== null) throw this.#failure.error
    const free = this.#free.pop()
    if (free !== undefined) return free
    this.#made += 1
    return this.#made === 1 ? Buffer.allocUnsafe(firstBlockBytes) : Buffer.allocUnsafeSlow(blockBytes)
  }

  #send(): void {
    const block = this.#block
    if (block === null) return
    const writing = this.#staged
      .write(block.subarray(0, this.#filled))
      .catch((error: unknown) => {
        this.#failure ??= { error }
      })
      .then(() => {
        this.#writing.delete(writing)
        if (block.length === blockBytes) this.#free.push(block)
      })
    this.#writing.add(writing)
    this.#block = null
    this.#filled = 0
  }
}
