/**
 * Makes an operation that never runs twice at a time and never answers with what it began before it was asked: a call
 * during a run shares one further run with all other such calls.
 */
export function coalesce(run: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | null = null
  let next: Promise<void> | null = null

  function begin(): Promise<void> {
    const current = run().finally(() => {
      if (running === current) running = null
    })
    running = current
    return current
  }

  return () => {
    if (running === null) return begin()
    next ??= running.then(settled, settled).then(() => {
      next = null
      return begin()
    })
    return next
  }
}

/** The next run begins whatever became of the one before; its callers have been told. */
const settled = (): null => null
