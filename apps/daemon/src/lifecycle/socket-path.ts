/** Where the socket really is: the system takes only short paths for it, homes can be deep. */
import { createHash } from 'node:crypto'
import { rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { type DaemonPaths, MeshError } from '@claudemesh/protocol'
import { ensurePrivateDirectory, writeFileAtomic } from '@claudemesh/storage'
import { socketPathBytesMax } from '../limits.ts'

/**
 * The path to listen on. When the one in the daemon's directory is too long, it is a short one in a private directory
 * of this user and this home below the runtime directory or the temp directory, and `sock.path` tells clients where.
 *
 * @throws MeshError unsafe_permissions | start_failed when no path is short enough
 */
export function settleSocketPath(o: { paths: DaemonPaths; runtimeDirectory: string | null }): string {
  const bytesMax = process.platform === 'linux' ? socketPathBytesMax.linux : socketPathBytesMax.other
  if (Buffer.byteLength(o.paths.socket) <= bytesMax) {
    rmSync(o.paths.socketPath, { force: true })
    return o.paths.socket
  }
  const home = createHash('sha256').update(o.paths.directory).digest('hex').slice(0, 16)
  const directory = `${o.runtimeDirectory ?? tmpdir()}/claudemesh-${process.getuid?.() ?? 0}-${home}`
  const path = `${directory}/sock`
  if (Buffer.byteLength(path) > bytesMax) {
    throw new MeshError('start_failed', {
      detail: `${path} is too long for a socket: the system takes ${bytesMax} bytes`,
      hint: 'Set XDG_RUNTIME_DIR or TMPDIR to a short path, or move CLAUDEMESH_HOME to one.',
    })
  }
  ensurePrivateDirectory(directory)
  writeFileAtomic(o.paths.socketPath, `${path}\n`, { mode: 0o600 })
  return path
}
