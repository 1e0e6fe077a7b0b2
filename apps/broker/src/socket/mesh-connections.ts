/**
 * The connections of a mesh, whatever node they lead to: those of this one at once, those of others by a note.
 */
import type { BrokerEvent, CloseName } from '@claudemesh/protocol'
import type { Cluster } from '../cluster/cluster.ts'
import type { MemberKey } from '../store/rows.ts'
import type { EndedSeat } from '../store/seats.ts'
import type { Connections } from './connections.ts'

export class MeshConnections {
  readonly #here: Connections
  readonly #cluster: Pick<Cluster, 'publish'>

  constructor(here: Connections, cluster: Pick<Cluster, 'publish'>) {
    this.#here = here
    this.#cluster = cluster
  }

  /** Tells every open connection of a mesh. */
  broadcast(meshId: string, events: readonly BrokerEvent[]): void {
    this.#here.broadcast(meshId, events)
    for (const event of events) {
      if (event.kind === 'member') {
        this.#cluster.publish({ kind: 'member', meshId, memberId: event.member.member_id })
      } else this.#cluster.publish({ kind: 'event', meshId, event })
    }
  }

  /** Ends the connections of a member at once. */
  close({ meshId, memberId }: MemberKey, name: CloseName): void {
    this.#here.close({ meshId, memberId }, name)
    this.#cluster.publish({ kind: 'gone', meshId, memberId, ending: name })
  }

  /** Takes nothing more from a member, and ends its connections when what they asked for is answered. */
  finish({ meshId, memberId }: MemberKey, name: 'normal'): void {
    this.#here.finish({ meshId, memberId }, name)
    this.#cluster.publish({ kind: 'gone', meshId, memberId, ending: name })
  }

  /** Ends a connection that has lost its seat. */
  end({ connectionId, ending }: EndedSeat): void {
    if (!this.#here.end(connectionId, ending)) this.#cluster.publish({ kind: 'close', connectionId, ending })
  }
}
