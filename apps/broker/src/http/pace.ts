import { transferBytesMin, transferWatchMs } from '../limits.ts'

/**
 * Looks at a transfer now and then, and ends it when next to nothing has moved since.
 *
 * @param o.moved bytes so far
 * @returns what ends the watch
 */
export function watchPace(o: { readonly moved: () => number; readonly tooSlow: () => void }): () => void {
  let before = o.moved()
  const timer = setInterval(() => {
    const now = o.moved()
    if (now - before < transferBytesMin) o.tooSlow()
    before = now
  }, transferWatchMs)
  return () => clearInterval(timer)
}
