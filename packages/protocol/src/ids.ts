import { randomBytes } from 'node:crypto'
import { incrementBase32, monotonicFactory } from 'ulid'

/** Ids of rows and messages: 26 characters, sorted by time of making. */
export const ulidPattern = '^[0-7][0-9A-HJKMNP-TV-Z]{25}$'
/** A member id: the hex of the Ed25519 public key that founded the identity. It survives key rotation. */
export const memberIdPattern = '^[0-9a-f]{64}$'
/** What a caller may choose as idempotency key: 1 to 255 visible ASCII characters (02 §2). */
export const clientMessageIdPattern = '^[\\x21-\\x7E]{1,255}$'

const ulidRegExp = new RegExp(ulidPattern)
const memberIdRegExp = new RegExp(memberIdPattern)
const clientMessageIdRegExp = new RegExp(clientMessageIdPattern)

export function isUlid(text: string): boolean {
  return ulidRegExp.test(text)
}

export function isMemberId(text: string): boolean {
  return memberIdRegExp.test(text)
}

export function isClientMessageId(text: string): boolean {
  return clientMessageIdRegExp.test(text)
}

/** Makes ULIDs that are strictly increasing within one process, also when its clock steps back. */
export type IdSource = () => string

/**
 * An id source over a clock. The clock's answer is held at its highest value so far: an id made after another one
 * always sorts after it.
 *
 * @param now milliseconds since the epoch
 */
export function createIdSource(now: () => number): IdSource {
  const next = monotonicFactory(randomFractions())
  let latest = 0
  return () => {
    latest = Math.max(latest, now())
    return next(latest)
  }
}

/** An id that sorts after another one: the candidate when it does, else the next one, unless that was the last there is. */
export function laterUlid(candidate: string, previous: string): string {
  if (candidate > previous) return candidate
  const next = incrementBase32(previous)
  return isUlid(next) ? next : candidate
}

/** Fractions in [0, 1) of one random byte each. Bytes are drawn in advance: a draw costs far more than a byte. */
function randomFractions(): () => number {
  let drawn = Buffer.alloc(0)
  let used = 0
  return () => {
    if (used === drawn.length) {
      drawn = randomBytes(1024)
      used = 0
    }
    const byte = drawn.readUInt8(used)
    used += 1
    return byte / 256
  }
}

/**
 * Reads an `Idempotency-Key` header: a bare token, or a quoted string by RFC 8941.
 *
 * @returns the key, or null when the header is a quoted string that does not end where it should
 */
export function parseIdempotencyKey(header: string): string | null {
  const text = header.replace(/^[ \t]+|[ \t]+$/g, '')
  if (!text.startsWith('"')) return text
  const quoted = /^"((?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"$/.exec(text)
  return quoted?.[1] === undefined ? null : quoted[1].replace(/\\(["\\])/g, '$1')
}
