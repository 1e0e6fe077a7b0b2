/**
 * Where the daemon of a mesh listens, found from the files it leaves (03 §1).
 *
 * 1. The Unix socket comes first; a path longer than the system takes is followed through `sock.path` or the symlink.
 * 2. TCP is used only when the daemon left no socket at all. A refused socket never leads to TCP: the port of a daemon
 *    that died may by now belong to another process, and that one would be given the token.
 *
 * It does not connect: whether somebody answers there is for the transport to find out.
 */
import { readFileSync, readlinkSync } from 'node:fs'
import { type DaemonPaths, MeshError } from './protocol.ts'

export type Endpoint =
  | { readonly kind: 'socket'; readonly path: string }
  | { readonly kind: 'tcp'; readonly port: number; readonly token: string }

/**
 * @throws MeshError daemon_unreachable when the daemon left neither a socket nor a port
 */
export function discoverEndpoint(paths: DaemonPaths): Endpoint {
  const socket = findSocket(paths)
  if (socket !== null) return { kind: 'socket', path: socket }
  const tcp = findTcp(paths)
  if (tcp !== null) return tcp
  throw new MeshError('daemon_unreachable', {
    detail: `no daemon listens at ${paths.socket}`,
    data: { socket: paths.socket, reason: 'no_socket', reached: false },
  })
}

/** Bytes of a socket's path that the system takes, without the closing zero. */
export function socketPathBytesMax(platform: NodeJS.Platform): number {
  return platform === 'linux' ? 107 : 103
}

function findSocket(paths: DaemonPaths): string | null {
  const redirected = readText(paths.socketPath)
  if (redirected !== null && redirected !== '') return redirected
  const target = readLink(paths.socket)
  if (target === null) return null
  if (Buffer.byteLength(paths.socket) <= socketPathBytesMax(process.platform)) return paths.socket
  return target === '' ? null : target
}

function findTcp(paths: DaemonPaths): Endpoint | null {
  const port = Number(readText(paths.httpPort) ?? 'none')
  const token = readText(paths.localToken)
  if (!Number.isInteger(port) || port < 1 || port > 65_535 || token === null || token === '') return null
  return { kind: 'tcp', port, token }
}

/** @returns null when there is no such file */
function readText(path: string): string | null {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch (cause) {
    if (isErrno(cause, 'ENOENT') || isErrno(cause, 'ENOTDIR')) return null
    throw unreadable(path, cause)
  }
}

/** @returns the target of a symlink, the empty text for a file of another kind, null when there is nothing */
function readLink(path: string): string | null {
  try {
    return readlinkSync(path)
  } catch (cause) {
    if (isErrno(cause, 'EINVAL')) return ''
    if (isErrno(cause, 'ENOENT') || isErrno(cause, 'ENOTDIR')) return null
    throw unreadable(path, cause)
  }
}

function unreadable(path: string, cause: unknown): MeshError {
  return new MeshError('unsafe_permissions', {
    detail: `${path} cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`,
    hint: 'Run this as the user that owns the home, or set CLAUDEMESH_HOME to your own.',
    cause,
  })
}

function isErrno(cause: unknown, code: string): boolean {
  return cause instanceof Error && 'code' in cause && cause.code === code
}
