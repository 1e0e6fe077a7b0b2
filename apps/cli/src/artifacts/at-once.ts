/**
 * Does something with each item, several at once, in their order.
 *
 * @throws the first failure, when everything that was begun has come to its end; nothing is begun after it
 */
export async function atOnce<Item>(
  items: readonly Item[],
  o: { readonly max: number; readonly signal: AbortSignal },
  work: (item: Item, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const failing = new AbortController()
  const signal = AbortSignal.any([o.signal, failing.signal])
  let next = 0
  const worker = async () => {
    for (let item = items[next++]; item !== undefined && !signal.aborted; item = items[next++]) {
      try {
        await work(item, signal)
      } catch (error) {
        // What fails because another one failed is not what the caller has to know.
        if (!failing.signal.aborted) failing.abort(error)
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(o.max, items.length) }, worker))
  o.signal.throwIfAborted()
  failing.signal.throwIfAborted()
}
