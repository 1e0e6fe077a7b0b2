import { type Agreement, limits, type SupportedFeatures } from '@claudemesh/protocol'
import type { Members, Negotiated } from '../members/members.ts'
import type { DedupePromise } from './max-age-policy.ts'

/** What was agreed with the broker last: kept on disk for the next start, and at hand for those who ask often. */
export class BrokerTerms {
  readonly #members: Members
  #negotiated: Negotiated | null
  #features: SupportedFeatures = {}

  constructor(members: Members) {
    this.#members = members
    this.#negotiated = members.negotiated()
  }

  /** Null when no broker ever promised to remember message ids. */
  get dedupe(): DedupePromise {
    return this.#negotiated
  }

  /** Bytes of a message body that the broker takes inline. */
  get inlineBytes(): number {
    return this.#negotiated?.inlineBytes ?? limits.inlineBytesDefault
  }

  /** Days that the broker remembers message ids; null when it never forgets or never was met. */
  get retentionDays(): number | null {
    return this.#negotiated?.retentionDays ?? null
  }

  /** Of the present or last connection of this process. */
  get features(): SupportedFeatures {
    return this.#features
  }

  agree({ dedupe, features }: Agreement): void {
    this.#features = features
    if (dedupe === null) return
    const inlineBytes = features.max_payload?.inline_bytes ?? null
    const { mode, retentionDays } = dedupe
    const known = this.#negotiated
    this.#negotiated = { mode, retentionDays, inlineBytes }
    const isNews = known?.mode !== mode || known.retentionDays !== retentionDays || known.inlineBytes !== inlineBytes
    if (isNews) this.#members.saveNegotiated(this.#negotiated)
  }
}
