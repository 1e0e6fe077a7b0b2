/**
 * Events on their way from who reads and checks a space to who asked for them, so that they are read once. The reader waits
 * for nobody: whoever takes too slowly misses the rest, and reads that anew.
 */
import type { DecisionEvent } from '../event.ts'

/** Parts that wait to be taken. */
const partsMax = 4

export class FreshEvents {
  #parts: (readonly DecisionEvent[])[] = []
  #isOver = false
  #wake: () => void = () => undefined

  /** Takes what was read next, as long as there is room. */
  add(events: readonly DecisionEvent[]): void {
    if (this.#isOver) return
    if (this.#parts.length === partsMax) this.#isOver = true
    else this.#parts.push(events)
    this.#wake()
  }

  /** No more will come. */
  end(): void {
    this.#isOver = true
    this.#wake()
  }

  /** What was added, in order, without a gap; for one who takes. */
  async *parts(): AsyncGenerator<readonly DecisionEvent[]> {
    for (;;) {
      const part = this.#parts.shift()
      if (part !== undefined) yield part
      else if (this.#isOver) return
      else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve
        })
      }
    }
  }
}
