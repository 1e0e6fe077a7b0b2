/** Where the broker listens. */
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { MeshError } from '@claudemesh/protocol'
import type { BrokerConfig } from './config.ts'
import { socketPath } from './socket/listener.ts'

/** @throws MeshError `start_failed` when the address is taken, or is not this host's */
export function listen(server: Server, { host, port }: BrokerConfig): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (error: Error) => {
      reject(
        new MeshError('start_failed', { detail: `cannot listen on ${host}:${port}: ${error.message}`, cause: error }),
      )
    }
    server.once('error', fail)
    server.listen({ host, port }, () => {
      server.off('error', fail)
      resolve()
    })
  })
}

/** The address that a server got. It listens. */
export function addressOf(server: Server): AddressInfo {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the server listens on a port')
  return address
}

export function schemeOf({ tls }: BrokerConfig): 'ws' | 'wss' {
  return tls === null ? 'ws' : 'wss'
}

/** Where daemons connect. */
export function urlOf(server: Server, config: BrokerConfig): string {
  const { host } = config
  return `${schemeOf(config)}://${host.includes(':') ? `[${host}]` : host}:${addressOf(server).port}${socketPath}`
}
