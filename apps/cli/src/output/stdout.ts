import { once } from 'node:events'

/** Writes bytes to stdout as fast as its reader takes them, and leaves it open. Errors of the source as they are. */
export async function writeStdout(source: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const chunk of source) {
    if (!process.stdout.write(chunk)) await once(process.stdout, 'drain')
  }
}
