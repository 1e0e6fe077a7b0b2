import { type DaemonPaths, MeshError } from '@claudemesh/protocol'
import { FileLock } from '@claudemesh/storage'

/**
 * The lock of a daemon that does not run, for what is done to its files meanwhile.
 *
 * @param o.held what a running daemon has that is needed here, for the message
 * @throws MeshError already_running
 */
export function lockStopped(paths: DaemonPaths, o: { readonly slug: string; readonly held: string }): FileLock {
  const lock = FileLock.acquire(paths.lock)
  if (lock !== null) return lock
  throw new MeshError('already_running', {
    detail: `the daemon of mesh ${o.slug} runs, and has ${o.held}`,
    hint: `Stop it first: \`claudemesh daemon stop --mesh ${o.slug}\`.`,
  })
}
