/**
 * The wall clock of other processes: a module that is loaded before their code (children/shift-clock.mjs) shifts what they
 * read, and a signal makes it read the shift anew. Their monotonic clock and their timers are the machine's.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const preload = fileURLToPath(new URL('./children/shift-clock.mjs', import.meta.url))

export class ShiftedClock {
  readonly #path: string
  #offsetMs = 0

  /** @param directory where the shift is written down */
  constructor(directory: string, name: string) {
    this.#path = join(directory, `${name}.shift`)
    this.#write()
  }

  /** What a process is started with so that it goes by this clock. */
  get environment(): Readonly<Record<string, string>> {
    return { NODE_OPTIONS: `--import=${preload}`, SHIFTED_CLOCK_FILE: this.#path }
  }

  get offsetMs(): number {
    return this.#offsetMs
  }

  /** Sets the clock to so many milliseconds from the machine's, for processes that start, and at once for a running one. */
  shift(offsetMs: number, running: { signal(name: NodeJS.Signals): void } | null): void {
    this.#offsetMs = offsetMs
    this.#write()
    running?.signal('SIGUSR2')
  }

  #write(): void {
    writeFileSync(this.#path, String(this.#offsetMs))
  }
}
