/**
 * Who may ask (03 §2). On the Unix socket the file system decides: it is 0600 in a 0700 directory. Over TCP every
 * request must name a loopback host, come from no web page that is not allowed, and carry the local token.
 *
 * 1. A connection that is not known to come from the Unix socket is treated as TCP.
 * 2. Tokens are compared in constant time, are never taken from a query string, and never logged.
 * 3. No answer carries CORS headers, so a page that is not allowed cannot read one either.
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import { MeshError } from '@claudemesh/protocol'

/** What of a request decides. */
export interface Credentials {
  readonly host: string | undefined
  readonly origin: string | undefined
  readonly authorization: string | undefined
}

export class LoopbackAuth {
  readonly #accepted: () => readonly string[]

  /** @param accepted the tokens that are good at the moment: a new one and, for a while, the one that it replaced */
  constructor(accepted: () => readonly string[]) {
    this.#accepted = accepted
  }

  /**
   * Judges a request that came over TCP.
   *
   * @throws MeshError forbidden_host | forbidden_origin | unauthorized
   */
  judge(credentials: Credentials, o: { allowedOrigins: readonly string[]; tokenRequired: boolean }): void {
    if (!isLoopbackHost(credentials.host)) throw new MeshError('forbidden_host')
    if (credentials.origin !== undefined && !o.allowedOrigins.includes(credentials.origin)) {
      throw new MeshError('forbidden_origin')
    }
    if (o.tokenRequired && !this.#holds(credentials.authorization)) throw new MeshError('unauthorized')
  }

  #holds(authorization: string | undefined): boolean {
    const presented = /^Bearer +([A-Za-z0-9_-]+)$/i.exec(authorization ?? '')?.[1]
    const candidate = digest(presented ?? '')
    // Digests have one length, so the comparison tells nothing about the length of the token either.
    const matches = this.#accepted().filter((token) => timingSafeEqual(candidate, digest(token)))
    return matches.length > 0 && presented !== undefined
  }
}

/** Names that a browser resolves to this machine alone: what keeps DNS rebinding out. */
export function isLoopbackHost(host: string | undefined): boolean {
  return host !== undefined && /^(?:localhost|127\.0\.0\.1|\[::1\])(?::\d{1,5})?$/i.test(host)
}

/**
 * Refuses a token in the query string, on either transport: query strings end up in logs and histories.
 *
 * @throws MeshError token_in_query
 */
export function refuseTokenInQuery(url: string, query: unknown): void {
  if (!url.includes('?') || query === null || typeof query !== 'object') return
  if (Object.keys(query).some((name) => name.toLowerCase() === 'token')) throw new MeshError('token_in_query')
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
