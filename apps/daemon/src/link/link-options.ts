/** What a link is made with, and what it tells. */
import type { Agreement, BrokerEvent, DeliveryItem, Health, ReceiptItem, SendResult } from '@claudemesh/protocol'
import type { Log } from '../log.ts'
import type { Runtime } from '../runtime.ts'
import type { LinkIdentity } from './handshake.ts'
import type { IdentityConflict } from './patience.ts'
import type { LinkTimings } from './timings.ts'

/** What the broker takes of this connection. */
export interface LinkLimits {
  readonly inflightMessages: number
  readonly inflightBytes: number
  readonly frameBytesMax: number
}

/** Why the daemon must leave: the close code that says so, its name, and what the broker or we had to say. */
export interface FatalExit {
  readonly code: number
  readonly name: string
  readonly reason: string
}

export type LinkStatus = Health['link'] & {
  readonly conflict: IdentityConflict | null
  /** It has just started, was never open, and nobody has refused it. */
  readonly is_starting: boolean
  /** The kind of the broker's last word when it refused the hello (4001); null when the link is down for another reason. */
  readonly refused: string | null
  /** Frames that made no sense, since the start. */
  readonly malformed_frames: number
}

/** Who takes what arrives. A MeshError thrown here costs the connection, anything else the process. */
export interface LinkHandlers {
  opened(agreement: Agreement, limits: LinkLimits): void
  closed(reason: string): void
  sendResults(items: readonly SendResult[]): void
  deliver(items: readonly DeliveryItem[]): void
  receipts(items: readonly ReceiptItem[]): void
  events(items: readonly BrokerEvent[]): void
  fatal(exit: FatalExit): void
}

export interface LinkOptions {
  readonly url: string
  /** Asked at every hello: keys and chain change when they are rotated. */
  readonly identity: () => LinkIdentity
  /** For an ephemeral member: after how long without a connection the broker may remove it. Null: never. */
  readonly ephemeralTtlMs: number | null
  readonly requireFeatures: readonly string[]
  readonly daemonVersion: string
  readonly runtime: Runtime
  readonly log: Log
  /** The address did not answer at all: a local broker may have to be started. */
  readonly onUnreachable: () => void
  readonly handlers: LinkHandlers
  /** Where they differ from the usual ones. */
  readonly timings?: Partial<LinkTimings>
}
