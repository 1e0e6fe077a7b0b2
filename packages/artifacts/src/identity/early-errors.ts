import { Stream } from 'node:stream'

/**
 * Keeps a stream that fails before anybody reads it from ending the process: between taking a source and reading it
 * there are waits (a place in a queue, a staged file), and an `error` event that nobody listens to is thrown. The reader
 * still gets the error when it comes to the stream.
 */
export function awaitReader<T>(source: T): T {
  if (source instanceof Stream) source.on('error', () => undefined)
  return source
}
