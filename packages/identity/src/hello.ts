/**
 * How a member proves itself to a broker (05 §2).
 *
 * What is signed: `claudemesh-hello-v1 00 origin 00 mesh_id 00 member_id 00 nonce 00 JCS(options)`.
 *
 * 1. The nonce is the broker's, is good once and dies in 30 s: a hello that was seen cannot be said again.
 * 2. The origin is the address that the daemon dialled: a broker cannot pass the hello on to another one.
 * 3. No field contains a zero byte, so that two different hellos never have the same bytes.
 */
import { randomBytes } from 'node:crypto'
import { type ConnectionOptions, canonicalJson, type ErrorCode, limits, MeshError } from '@claudemesh/protocol'
import { decodeBase64url } from './base64url.ts'
import { type SigningKeyPair, sign, verifySignature } from './keys.ts'

const domain = 'claudemesh-hello-v1'

/** What one hello claims. */
export interface HelloClaims {
  /** As `originOf` writes it. */
  readonly origin: string
  readonly meshId: string
  readonly memberId: string
  readonly nonce: string
  readonly options: ConnectionOptions
}

/** @throws TypeError when a field contains U+0000 */
export function helloBytes(claims: HelloClaims): Buffer {
  const fields = [domain, claims.origin, claims.meshId, claims.memberId, claims.nonce, canonicalJson(claims.options)]
  if (fields.some((field) => field.includes('\u0000'))) throw new TypeError('a field of the hello contains U+0000')
  return Buffer.from(fields.join('\u0000'), 'utf8')
}

/** @returns the signature as text */
export function signHello(input: HelloClaims & { readonly keys: SigningKeyPair }): string {
  return sign(input.keys, helloBytes(input)).toString('base64url')
}

/** Whether `publicKey` (hex) signed these claims. Never throws. */
export function verifyHello(input: HelloClaims & { readonly signature: string; readonly publicKey: string }): boolean {
  const signature = decodeBase64url(input.signature, 64)
  if (signature === null || input.origin.includes('\u0000')) return false
  return verifySignature({ publicKey: input.publicKey, bytes: helloBytes(input), signature })
}

const defaultPorts: Readonly<Record<string, string>> = { 'ws:': '80', 'wss:': '443' }

/**
 * The origin of a broker URL as hellos carry it: `ws://host:port` or `wss://host:port`, lower case, the port always
 * written.
 *
 * @param code of the MeshError that is thrown when this is not such a URL, or holds a user or password
 * @throws MeshError `config_invalid` unless told otherwise
 */
export function originOf(url: string, code: ErrorCode = 'config_invalid'): string {
  const parsed = URL.canParse(url) ? new URL(url) : null
  const defaultPort = parsed === null ? undefined : defaultPorts[parsed.protocol]
  if (parsed === null || defaultPort === undefined || parsed.username !== '' || parsed.password !== '') {
    throw new MeshError(code, { detail: 'a broker URL is ws://host[:port][/path] or wss://host[:port][/path]' })
  }
  return `${parsed.protocol}//${parsed.hostname}:${parsed.port === '' ? defaultPort : parsed.port}`
}

/** Challenges that may be open at once. The oldest gives way: memory stays bounded when strangers only knock. */
const noncesMax = 65_536

/** The nonces of a broker: random, good once, dead after 30 s. */
export class NonceRegistry {
  readonly #now: () => number
  /** Nonce to the time of its issue, oldest first. */
  readonly #issued = new Map<string, number>()

  /** @param options.now monotonic milliseconds */
  constructor(options: { readonly now: () => number }) {
    this.#now = options.now
  }

  /** A new nonce: 32 random bytes in base64url. */
  issue(): string {
    this.#forgetDead()
    const nonce = randomBytes(32).toString('base64url')
    this.#issued.set(nonce, this.#now())
    return nonce
  }

  /** Takes a nonce out of use. True for the first time within its life, false for ever after. */
  use(nonce: string): boolean {
    const issuedAt = this.#issued.get(nonce)
    this.#issued.delete(nonce)
    return issuedAt !== undefined && this.#now() - issuedAt < limits.nonceLifeMs
  }

  #forgetDead(): void {
    const deadline = this.#now() - limits.nonceLifeMs
    for (const [nonce, issuedAt] of this.#issued) {
      if (issuedAt > deadline && this.#issued.size < noncesMax) return
      this.#issued.delete(nonce)
    }
  }
}
