import type { DedupeMode, Role } from '@claudemesh/protocol'

/** A verified member. */
export interface DirectoryMember {
  readonly memberId: string
  readonly name: string
  readonly role: Role
  /** Ed25519 public key in hex. */
  readonly signingKey: string
  /** X25519 public key in hex. */
  readonly boxKey: string
  readonly epoch: number
  readonly status: 'active' | 'revoked'
  readonly online: boolean
  readonly lastSeenAt: number | null
  readonly summary: string | null
  readonly activity: string | null
}

/** What the last negotiation gave; it holds until the next one. */
export interface Negotiated {
  readonly mode: DedupeMode
  /** Null in mode `permanent`. */
  readonly retentionDays: number | null
  /** Null when the broker named no limit of its own. */
  readonly inlineBytes: number | null
}
