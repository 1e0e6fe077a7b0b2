import { originOf } from '@claudemesh/identity'

const loopbackHosts = ['127.0.0.1', 'localhost', '[::1]']
const everyAddress = new Set(['0.0.0.0', '::', '[::]'])

/**
 * The origins under which this broker answers: its listening address, the other names of loopback when it listens there
 * or everywhere, and the public URLs it was given.
 *
 * @throws MeshError `config_invalid` when a public URL is not one
 */
export function originsOf(options: {
  readonly host: string
  readonly port: number
  readonly scheme: 'ws' | 'wss'
  readonly publicUrls: readonly string[]
}): ReadonlySet<string> {
  const host = options.host.includes(':') ? `[${options.host}]` : options.host
  const hosts = everyAddress.has(options.host) || loopbackHosts.includes(host) ? loopbackHosts : [host]
  return new Set([
    ...hosts.map((name) => originOf(`${options.scheme}://${name}:${options.port}`)),
    ...options.publicUrls.map((url) => originOf(url)),
  ])
}
