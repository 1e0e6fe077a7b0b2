import type { Log } from '../log.ts'

/**
 * What was opened, to be closed in reverse. A step that fails is logged and the others are done: a daemon that cannot
 * close one thing must still give back the rest.
 */
export class Closing {
  readonly #steps: { readonly name: string; readonly run: () => void | Promise<void> }[] = []

  add(name: string, run: () => void | Promise<void>): void {
    this.#steps.push({ name, run })
  }

  /** @param log null while there is none yet; then the first failure is thrown when all is closed */
  async run(log: Log | null): Promise<void> {
    const failures: unknown[] = []
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) {
      try {
        await step.run()
      } catch (error) {
        if (log === null) failures.push(error)
        else log.error({ step: step.name, err: error }, 'not_closed')
      }
    }
    if (failures.length > 0) throw failures[0]
  }
}
