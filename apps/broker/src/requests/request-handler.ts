import type { BrokerEvent, CloseName, Operation, RequestParams, RequestResult } from '@claudemesh/protocol'
import type { Runtime } from '../runtime.ts'
import type { MemberKey } from '../store/rows.ts'
import type { Store } from '../store/store.ts'

/** What the correlated calls work with. */
export interface RequestDependencies {
  readonly store: Store
  readonly runtime: Runtime
  readonly isOnline: (member: MemberKey) => boolean
  readonly connections: LiveConnections
  /** Something may wait for this member. */
  readonly wake: (member: MemberKey) => void
  /** Told of failures that are not the caller's. */
  readonly report: (error: unknown) => void
}

/** The connections of this process, as far as the correlated calls need them. */
interface LiveConnections {
  /** Tells every open connection of a mesh. */
  broadcast(meshId: string, events: readonly BrokerEvent[]): void
  /** Ends the connections of a member at once. */
  close(member: MemberKey, name: CloseName): void
  /** Takes nothing more from a member, and ends its connections when what they asked for is answered. */
  finish(member: MemberKey, name: CloseName): void
}

/** Serves one operation for one member. A MeshError is answered with its status and code. */
export type RequestHandler<O extends Operation> = (
  dependencies: RequestDependencies,
  caller: MemberKey,
  params: RequestParams<O>,
) => Promise<RequestResult<O>>

/** Bytes of sealed messages, or of member records, in one response: their JSON stays within a frame. */
export const responseBytesMax = 512 * 1024
