import type { FileHandle } from 'node:fs/promises'
import { ArtifactError } from '../../../artifact-error.ts'
import { toArtifactError } from '../../io-error.ts'

const readBytes = 1024 * 1024

/**
 * Bytes of an open file, a block being read while the one before it is used; the file is closed at the end.
 *
 * @throws ArtifactError `object_corrupt`: it ends before the range does; `storage_io`
 */
export function readBody(handle: FileHandle, range: { readonly start: number; readonly end: number }) {
  const blocks = readBlocks(handle, range)
  const iterator = {
    next: () => blocks.next(),
    // A generator that nobody has begun with ends without its `finally`.
    return: async () => {
      await blocks.return()
      await handle.close()
      return { done: true as const, value: undefined }
    },
  }
  return { [Symbol.asyncIterator]: () => iterator }
}

async function* readBlocks(handle: FileHandle, range: { readonly start: number; readonly end: number }) {
  let reading = readBlock(handle, range.start, range.end)
  try {
    for (let position = range.start; position <= range.end; ) {
      const block = await reading
      position += block.length
      if (position <= range.end) reading = readBlock(handle, position, range.end)
      yield block
    }
  } catch (error) {
    throw toArtifactError(error)
  } finally {
    await reading.catch(() => undefined)
    await handle.close()
  }
}

/** At least one byte, if there should be any. */
async function readBlock(handle: FileHandle, start: number, end: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(Math.min(readBytes, end - start + 1))
  const { bytesRead } = await handle.read(buffer, 0, buffer.length, start)
  if (bytesRead === 0 && start <= end) {
    throw new ArtifactError('object_corrupt', { detail: 'The object ended before its size.' })
  }
  return buffer.subarray(0, bytesRead)
}
