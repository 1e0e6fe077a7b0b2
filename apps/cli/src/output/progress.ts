/** How far long work has come, on one line of stderr that is written over; nothing where nobody looks on. */
import type { Terminal } from './terminal.ts'

const updateMs = 100

export class Progress {
  readonly #terminal: Terminal
  readonly #render: () => string
  #shownAt = Number.NEGATIVE_INFINITY

  /** @param render the line as it is now; called seldom */
  constructor(terminal: Terminal, render: () => string) {
    this.#terminal = terminal
    this.#render = render
  }

  /** Something has changed. */
  update(): void {
    const now = performance.now()
    if (now - this.#shownAt < updateMs) return
    this.#shownAt = now
    this.#terminal.status(this.#render())
  }

  /** Takes the line away. */
  end(): void {
    this.#terminal.status(null)
  }
}
