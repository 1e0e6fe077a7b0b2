/**
 * A source that ends when its reader is told to stop, also while it waits for a chunk that never comes. The source is
 * told too (`return`), and not waited for: one that hangs must not hold its reader.
 *
 * @throws the reason of the signal; errors of the source as they are
 */
export async function* abortable<T>(source: AsyncIterable<T>, signal: AbortSignal | undefined): AsyncIterable<T> {
  if (signal === undefined) {
    yield* source
    return
  }
  let abort = (): void => undefined
  const aborted = new Promise<never>((_, reject) => {
    abort = () => reject(signal.reason)
  })
  // Without a waiter at the moment of the abort the rejection is the next reader's; it is never unhandled.
  aborted.catch(() => undefined)
  signal.addEventListener('abort', abort, { once: true })
  const iterator = source[Symbol.asyncIterator]()
  let ended = false
  try {
    signal.throwIfAborted()
    for (;;) {
      const result = await Promise.race([iterator.next(), aborted])
      if (result.done === true) {
        ended = true
        return
      }
      yield result.value
    }
  } finally {
    signal.removeEventListener('abort', abort)
    if (!ended) void Promise.resolve(iterator.return?.()).catch(() => undefined)
  }
}
