import { BlockList, isIPv6 } from 'node:net'

/**
 * Where a request comes from: the peer of its socket or, when that is a proxy which the operator trusts, the last address
 * in `X-Forwarded-For` that is none. What comes before that one is the client's own word.
 */
export function addressOf(
  request: {
    readonly socket: { readonly remoteAddress?: string | undefined }
    readonly headers: Readonly<Record<string, string | string[] | undefined>>
  },
  proxies: BlockList,
): string {
  const peer = request.socket.remoteAddress ?? ''
  if (!isTrusted(proxies, peer)) return peer
  const forwarded = [request.headers['x-forwarded-for'] ?? []].flat().join(',').split(',')
  const hops = forwarded.map((hop) => hop.trim()).filter((hop) => hop !== '')
  return hops.findLast((hop) => !isTrusted(proxies, hop)) ?? peer
}

function isTrusted(proxies: BlockList, address: string): boolean {
  return proxies.check(address, isIPv6(address) ? 'ipv6' : 'ipv4')
}

/**
 * The proxies an operator trusts, as addresses or networks (`10.0.0.0/8`).
 *
 * @returns null when one of the texts is neither
 */
export function readProxies(texts: readonly string[]): BlockList | null {
  const proxies = new BlockList()
  for (const text of texts) {
    const [address = '', prefix, ...more] = text.split('/')
    const family = isIPv6(address) ? 'ipv6' : 'ipv4'
    try {
      if (more.length > 0) return null
      if (prefix === undefined) proxies.addAddress(address, family)
      else if (/^[0-9]{1,3}$/.test(prefix)) proxies.addSubnet(address, Number(prefix), family)
      else return null
    } catch {
      // Node names the bad address in words of its own; the caller names the setting.
      return null
    }
  }
  return proxies
}
