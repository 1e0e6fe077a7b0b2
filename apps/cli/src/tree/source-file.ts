/** A regular file that is read whole, and that is the one which was looked at. */
import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { MeshError } from '../protocol.ts'

const { O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = constants

const chunkBytes = 1024 * 1024

/**
 * Reads a file from its beginning to its end. It is opened when it is read.
 *
 * @param o `sizeBytes`: how many bytes it has; `onBytes`: is told of each part
 * @throws MeshError `size_mismatch`, `invalid_path`, from the stream: the file became another one meanwhile
 */
export function readWhole(
  path: string,
  o: { readonly sizeBytes: number; readonly onBytes?: (count: number) => void },
): Readable {
  return Readable.from(chunksOf(path, o), { objectMode: false, highWaterMark: chunkBytes })
}

async function* chunksOf(path: string, o: Parameters<typeof readWhole>[1]): AsyncGenerator<Uint8Array> {
  const handle = await openRegular(path)
  try {
    let read = 0
    for (;;) {
      const { bytesRead, buffer } = await handle.read(Buffer.allocUnsafe(chunkBytes), 0, chunkBytes, null)
      if (bytesRead === 0) break
      read += bytesRead
      if (read > o.sizeBytes) throw changed(path)
      o.onBytes?.(bytesRead)
      yield buffer.subarray(0, bytesRead)
    }
    if (read < o.sizeBytes) throw changed(path)
  } finally {
    await handle.close()
  }
}

/** Neither a link nor something that never ends may have taken its place. */
async function openRegular(path: string): Promise<FileHandle> {
  const handle = await open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
  if ((await handle.stat()).isFile()) return handle
  await handle.close()
  throw new MeshError('invalid_path', { detail: `${path} is no regular file`, hint: 'Name a file.' })
}

function changed(path: string): MeshError {
  return new MeshError('size_mismatch', {
    detail: `${path} changed while it was read`,
    hint: 'Run it again when nobody writes to it.',
  })
}
