import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { link, open, unlink } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { syncDirectory } from '@claudemesh/storage'
import { MeshError } from '../protocol.ts'

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } = constants

/**
 * Makes a file that is not there yet: under another name until all of it is on the disk, and never over something else. A
 * failure leaves nothing.
 *
 * @returns how many bytes it has
 * @throws MeshError `invalid_target`; errors of the source and of the system as they are
 */
export async function streamToNewFile(path: string, source: AsyncIterable<Uint8Array>): Promise<number> {
  const target = resolve(path)
  const temporary = join(dirname(target), `.${basename(target)}.${randomBytes(6).toString('hex')}.partial`)
  const handle = await open(temporary, O_CREAT | O_EXCL | O_NOFOLLOW | O_WRONLY, 0o600)
  try {
    let size = 0
    for await (const chunk of source) {
      await handle.appendFile(chunk)
      size += chunk.length
    }
    await handle.sync()
    // Unlike a rename it takes no name that is in use.
    await link(temporary, target).catch((error: NodeJS.ErrnoException) => {
      throw error.code === 'EEXIST' ? taken(path) : error
    })
    return size
  } finally {
    await handle.close()
    await unlink(temporary)
    syncDirectory(dirname(target))
  }
}

function taken(path: string): MeshError {
  return new MeshError('invalid_target', {
    detail: `${path} exists`,
    hint: 'Name a file that does not exist.',
  })
}
