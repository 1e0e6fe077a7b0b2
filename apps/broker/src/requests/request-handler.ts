import type {
  BrokerEvent,
  CloseName,
  Operation,
  RequestParams,
  RequestResult,
  SendItem,
  SendResult,
} from '@claudemesh/protocol'
import type { Metrics } from '../metrics.ts'
import type { Runtime } from '../runtime.ts'
import type { MeshSettings } from '../settings.ts'
import type { QueueKey } from '../store/queues.ts'
import type { MemberKey } from '../store/rows.ts'
import type { SpaceAppend } from '../store/spaces.ts'
import type { Store } from '../store/store.ts'
import type { QueueWaits, Wake } from './queue-waits.ts'

/** What the correlated calls work with. */
export interface RequestDependencies {
  readonly store: Store
  readonly runtime: Runtime
  readonly connections: LiveConnections
  /** Something may wait for this member, at whatever node it is connected. */
  readonly wake: (member: MemberKey) => void
  /** Who waits for work. */
  readonly queueWaits: QueueWaits
  /** So many more messages can be taken from a queue, at whatever node somebody waits. */
  readonly wakeQueue: (key: QueueKey, messages: number) => void
  /** What whoever waits for work of a mesh may have has changed. */
  readonly wakeQueues: (meshId: string) => void
  /** Takes a message that appends to a space. */
  readonly append: (submission: {
    readonly sender: Caller
    readonly item: SendItem
    readonly append: SpaceAppend
  }) => Promise<SendResult>
  /** Null: this broker relays no blobs. */
  readonly relay: BlobTickets | null
  readonly metrics: Pick<Metrics, 'counters'>
  /** Told of failures that are not the caller's. */
  readonly report: (error: unknown) => void
}

/** The connections of a mesh, as far as the correlated calls need them. */
interface LiveConnections {
  /** Tells every open connection of a mesh. */
  broadcast(meshId: string, events: readonly BrokerEvent[]): void
  /** Ends the connections of a member at once. */
  close(member: MemberKey, name: CloseName): void
  /** Takes nothing more from a member, and ends its connections when what they asked for is answered. */
  finish(member: MemberKey, name: 'normal'): void
}

/** The relay, as far as the correlated calls need it. Each throws MeshErrors for the caller. */
export interface BlobTickets {
  reserve(
    sender: MemberKey,
    blob: {
      readonly address: string
      readonly sizeBytes: number
      readonly recipients: readonly string[]
      readonly expiresAt: number
    },
  ): Promise<BlobTicket & { readonly stored: boolean }>
  grantDownload(member: MemberKey, blob: { readonly address: string; readonly sizeBytes: number }): Promise<BlobTicket>
  acknowledge(member: MemberKey, address: string): Promise<void>
}

interface BlobTicket {
  readonly ticket: string
  readonly ticketExpiresAt: number
  /** Of the blob. */
  readonly expiresAt: number
}

/** Who asks, and by what its mesh has agreed on. */
export type Caller = MemberKey & { readonly settings: MeshSettings }

/** One call of one connection. */
export interface Call {
  /** Monotonic milliseconds. */
  readonly askedAt: number
  /** Aborted when nothing more comes from the connection: whoever waits for it waits no longer. */
  readonly ended: AbortSignal
}

/** A call that has nothing to answer yet, and gives its turn to others until it goes on. */
export class Postponed<R> {
  readonly until: Promise<Wake | null>
  readonly again: (wake: Wake | null) => Promise<R | Postponed<R>>

  constructor(until: Promise<Wake | null>, again: (wake: Wake | null) => Promise<R | Postponed<R>>) {
    this.until = until
    this.again = again
  }
}

/** Serves one operation for one member. A MeshError is answered with its status and code. */
export type RequestHandler<O extends Operation> = (
  dependencies: RequestDependencies,
  caller: Caller,
  params: RequestParams<O>,
  call: Call,
) => Promise<RequestResult<O> | Postponed<RequestResult<O>>>

/** Bytes of sealed messages, or of member records, in one response: their JSON stays within a frame. */
export const responseBytesMax = 512 * 1024
