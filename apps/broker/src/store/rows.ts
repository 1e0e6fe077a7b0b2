/** What a store keeps, in the words of the code: the same for every engine. Times are milliseconds since the epoch. */
import type { Certificate, DedupeMode, Destination, Priority } from '@claudemesh/protocol'
import type { MemberStatus } from './member-states.ts'

/** What happens when a member connects while it is connected (05 §2). */
export type ConcurrencyPolicy = 'prefer_newest' | 'prefer_oldest' | 'allow_concurrent'

/** A member of one mesh. Everything a store does is about one mesh: no operation crosses from one to another. */
export interface MemberKey {
  readonly meshId: string
  readonly memberId: string
}

export interface Mesh {
  readonly meshId: string
  readonly slug: string
  readonly rootKey: string
  /** Null in each of these: what the broker is configured with. */
  readonly dedupeMode: DedupeMode | null
  readonly dedupeRetentionDays: number | null
  readonly messageRetentionDays: number | null
  readonly concurrencyPolicy: ConcurrencyPolicy | null
  readonly blobQuotaBytes: number | null
}

export interface Member {
  readonly memberId: string
  /** The current certificate first. */
  readonly chain: readonly Certificate[]
  readonly status: MemberStatus
  /** It is connected, or was within the grace time; see seats.ts. */
  readonly online: boolean
  readonly lastSeenAt: number | null
  readonly summary: string | null
  readonly activity: string | null
  /** False: to others it looks offline. */
  readonly visible: boolean
}

export interface Topic {
  readonly name: string
  readonly subscribers: number
  /** About the asking member. */
  readonly subscribed: boolean
  readonly createdAt: number
}

/** What names a send for ever: the sender is part of it, so that two members may pick the same id. */
export interface MessageKey {
  readonly meshId: string
  readonly sender: string
  readonly clientMessageId: string
}

/** What the broker remembers of a message that it accepted. */
export interface Accepted {
  readonly brokerMessageId: string
  readonly historyId: number
  /** 32 bytes: the wire fingerprint. */
  readonly fingerprint: Buffer
  readonly recipientCount: number
  readonly firstSeenAt: number
  /** False once retention has taken the message itself. */
  readonly historyAvailable: boolean
}

/** A message as it is kept. */
export interface Message {
  readonly brokerMessageId: string
  readonly historyId: number
  readonly clientMessageId: string
  readonly sender: string
  readonly destination: Destination
  readonly replyTo: string | null
  readonly priority: Priority
  readonly sealed: Buffer
  readonly acceptedAt: number
}

/** A message that waits for one recipient. */
export interface Delivery {
  readonly deliveryId: number
  readonly message: Message
}

/** What is proven of one message at one recipient; it waits for the message's sender. */
export interface Receipt {
  readonly deliveryId: number
  readonly brokerMessageId: string
  readonly clientMessageId: string
  readonly recipient: string
  readonly state: 'delivered' | 'read' | 'undeliverable'
  readonly reason: string | null
  readonly at: number
}
