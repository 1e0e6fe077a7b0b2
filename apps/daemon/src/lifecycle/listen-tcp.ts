import { rmSync } from 'node:fs'
import type { DaemonPaths } from '@claudemesh/protocol'
import { writeFileAtomic } from '@claudemesh/storage'
import type { Health } from '../health.ts'
import type { IpcServer } from '../ipc/server.ts'
import type { Log } from '../log.ts'

/**
 * Opens the TCP listener and leaves its port in `http.port`. A port that cannot be had is no reason not to run: the
 * Unix socket serves everything.
 *
 * @param o.port null: no TCP; 0: any port
 * @returns the port, or null when there is none
 */
export async function listenOnTcp(o: {
  ipc: IpcServer
  port: number | null
  paths: DaemonPaths
  raised: Health
  log: Log
}): Promise<number | null> {
  rmSync(o.paths.httpPort, { force: true })
  if (o.port === null) return null
  try {
    const port = await o.ipc.listenOnLoopback(o.port)
    writeFileAtomic(o.paths.httpPort, `${port}\n`, { mode: 0o600 })
    return port
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'EADDRINUSE' && code !== 'EACCES' && code !== 'EADDRNOTAVAIL') throw error
    o.raised.raise('tcp_unavailable', `port ${o.port}: ${code}`)
    o.log.warn({ port: o.port, code }, 'tcp_unavailable')
    return null
  }
}
