/**
 * What lets a request at the bytes of a blob (04 §8): the grant itself and a MAC over it, under a key that the brokers over
 * one database share. Nothing is kept of a ticket; what it grants is looked up again whenever it is used, so that a member
 * that was revoked, or a blob that has ended, ends it too. It is never written to a log.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import type { MemberKey } from '../store/rows.ts'

export type Direction = 'upload' | 'download'

export interface Grant extends MemberKey {
  readonly direction: Direction
  readonly address: string
  readonly sizeBytes: number
}

export class Tickets {
  readonly #key: Buffer
  readonly #now: () => number
  readonly #lifeMs: number

  /** @param o.key 32 bytes */
  constructor(o: { readonly key: Buffer; readonly now: () => number; readonly lifeMs: number }) {
    this.#key = o.key
    this.#now = o.now
    this.#lifeMs = o.lifeMs
  }

  issue(grant: Grant): { readonly ticket: string; readonly expiresAt: number } {
    const expiresAt = this.#now() + this.#lifeMs
    const { direction, meshId, memberId, address, sizeBytes } = grant
    const content = [direction, meshId, memberId, address, sizeBytes, expiresAt]
    const text = Buffer.from(JSON.stringify(content)).toString('base64url')
    return { ticket: `${text}.${this.#sign(text).toString('base64url')}`, expiresAt }
  }

  /** What a ticket grants; null when it is none of ours, or its time is over. */
  read(ticket: string): Grant | null {
    const [text = '', signature = ''] = ticket.split('.', 2)
    const given = Buffer.from(signature, 'base64url')
    const own = this.#sign(text)
    if (given.length !== own.length || !timingSafeEqual(given, own)) return null
    // Only what was written above is signed.
    const content = JSON.parse(Buffer.from(text, 'base64url').toString()) as [
      Direction,
      string,
      string,
      string,
      number,
      number,
    ]
    const [direction, meshId, memberId, address, sizeBytes, expiresAt] = content
    return this.#now() < expiresAt ? { direction, meshId, memberId, address, sizeBytes } : null
  }

  #sign(text: string): Buffer {
    return createHmac('sha256', this.#key).update(`claudemesh blob ticket 1\n${text}`).digest()
  }
}
