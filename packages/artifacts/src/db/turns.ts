/** Lets one after the other do something that nothing else may come between, in order of arrival. */
export class Turns {
  #last: Promise<unknown> = Promise.resolve()

  take<T>(run: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(run)
    this.#last = turn.catch(() => undefined)
    return turn
  }

  /** Resolves when everybody who came so far is done. */
  async settled(): Promise<void> {
    await this.#last
  }
}
