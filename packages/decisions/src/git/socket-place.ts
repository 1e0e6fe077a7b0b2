/**
 * Where sockets that take appends are: in one directory of this user among the temporary files, since the address of a socket
 * must be short. What killed processes have left there, the next one that listens takes away.
 */
import { randomBytes } from 'node:crypto'
import { lstatSync, readdirSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { MeshError } from '@claudemesh/protocol'
import { ensurePrivateDirectory, toStorageError } from '@claudemesh/storage'

/** Whoever makes a socket must have had the time to listen at it. */
const ageMsMin = 60_000

/**
 * The path of a new socket.
 *
 * @throws MeshError `unsafe_permissions` when the directory is somebody else's, `insufficient_storage`, `storage_failed`
 */
export async function newSocketPath(): Promise<string> {
  const directory = join(tmpdir(), `claudemesh-${userInfo().uid}`)
  try {
    ensurePrivateDirectory(directory)
    if (lstatSync(directory).isSymbolicLink()) {
      throw new MeshError('unsafe_permissions', { detail: `${directory} is a link to somewhere else; remove it` })
    }
    for (const name of readdirSync(directory)) await removeIfDead(join(directory, name))
  } catch (error) {
    throw toStorageError(error, directory)
  }
  return join(directory, randomBytes(8).toString('hex'))
}

async function removeIfDead(path: string): Promise<void> {
  const found = lstatSync(path, { throwIfNoEntry: false })
  if (found?.isSocket() !== true || Date.now() - found.mtimeMs < ageMsMin) return
  if (await isRefused(path)) rmSync(path, { force: true })
}

/** A process that is stopped does not refuse: the system takes the connection for it. */
function isRefused(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path)
    socket.once('connect', () => {
      socket.destroy()
      resolve(false)
    })
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code === 'ECONNREFUSED'))
  })
}
