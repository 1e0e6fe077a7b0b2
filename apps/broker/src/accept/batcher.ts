/**
 * Frames that wait together are accepted together, in the order in which they arrived.
 *
 * One batch is under way at a time; what arrives meanwhile is the next one. So a lone frame waits for nobody, and under
 * load the batches grow by themselves up to their bound. How much may wait is bounded by the windows of the
 * connections, which stop being read when they are full.
 */
import type { SendResult } from '@claudemesh/protocol'
import type { Submission } from './accept-batch.ts'

interface WaitingFrame {
  readonly submissions: readonly Submission[]
  readonly resolve: (results: readonly SendResult[]) => void
  readonly reject: (error: unknown) => void
}

export class Batcher {
  readonly #accept: (submissions: readonly Submission[]) => Promise<readonly SendResult[]>
  readonly #itemsMax: number
  readonly #waiting: WaitingFrame[] = []
  #running: Promise<void> | null = null

  constructor(options: {
    readonly accept: (submissions: readonly Submission[]) => Promise<readonly SendResult[]>
    readonly itemsMax: number
  }) {
    this.#accept = options.accept
    this.#itemsMax = options.itemsMax
  }

  /** @returns one result per submission of this frame, in their order */
  submit(submissions: readonly Submission[]): Promise<readonly SendResult[]> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ submissions, resolve, reject })
      this.#running ??= this.#run()
    })
  }

  /** Resolves when nothing waits and nothing is under way. */
  async drain(): Promise<void> {
    while (this.#running !== null) await this.#running
  }

  async #run(): Promise<void> {
    // The other frames of this turn of the event loop have been read once setImmediate comes.
    await new Promise((resolve) => setImmediate(resolve))
    while (this.#waiting.length > 0) await this.#acceptNext()
    this.#running = null
  }

  async #acceptNext(): Promise<void> {
    const frames = this.#takeFrames()
    try {
      const results = await this.#accept(frames.flatMap((frame) => frame.submissions))
      let start = 0
      for (const frame of frames) {
        frame.resolve(results.slice(start, start + frame.submissions.length))
        start += frame.submissions.length
      }
    } catch (error) {
      for (const frame of frames) frame.reject(error)
    }
  }

  /** At least one frame, and no more than the bound takes. */
  #takeFrames(): readonly WaitingFrame[] {
    let items = 0
    let count = 0
    for (const frame of this.#waiting) {
      items += frame.submissions.length
      if (count > 0 && items > this.#itemsMax) break
      count += 1
    }
    return this.#waiting.splice(0, count)
  }
}
