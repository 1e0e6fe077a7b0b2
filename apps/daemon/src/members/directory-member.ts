import type { DedupeMode, Role } from '@claudemesh/protocol'
import type { MemberRow } from './statements.ts'

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

/** What the broker says of a member now. */
export interface Presence {
  readonly online: boolean
  readonly lastSeenAt: number | null
}

/** Written out: every message to a name comes by here, and taking the row apart cost ten times as much. */
export function toDirectoryMember(row: MemberRow, presence: Presence | null): DirectoryMember {
  return {
    memberId: row.memberId,
    name: row.name,
    role: row.role,
    signingKey: row.signingKey,
    boxKey: row.boxKey,
    epoch: row.epoch,
    status: row.status,
    online: presence?.online ?? false,
    lastSeenAt: presence?.lastSeenAt ?? row.lastSeenAt,
    summary: row.summary,
    activity: row.activity,
  }
}

/** What the last negotiation gave; it holds until the next one. */
export interface Negotiated {
  readonly mode: DedupeMode
  /** Null in mode `permanent`. */
  readonly retentionDays: number | null
  /** Null when the broker named no limit of its own. */
  readonly inlineBytes: number | null
}
