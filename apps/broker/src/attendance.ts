/** The part of the composition that nodes share: who is connected where, and who is told what of it. */
import type { Cluster } from './cluster/cluster.ts'
import type { BrokerConfig } from './config.ts'
import { Deliverer } from './deliver/deliver.ts'
import type { Report } from './failure-report.ts'
import { Presence } from './presence/presence.ts'
import { QueueWaits } from './requests/queue-waits.ts'
import type { Runtime } from './runtime.ts'
import type { Connection } from './socket/connection.ts'
import { Connections } from './socket/connections.ts'
import { MeshConnections } from './socket/mesh-connections.ts'
import { receiveNote, tellRevocations } from './socket/receive-note.ts'
import type { QueueKey } from './store/queues.ts'
import type { MemberKey } from './store/rows.ts'
import type { Store } from './store/store.ts'

export interface AttendanceDependencies {
  readonly config: BrokerConfig
  readonly store: Store
  readonly runtime: Runtime
  readonly cluster: Cluster
  readonly report: Report
}

export type Attendance = ReturnType<typeof buildAttendance>

export function buildAttendance({ config, store, runtime, cluster, report }: AttendanceDependencies) {
  const { leaseMs, slowConsumerMs } = config
  const connections = new Connections()
  const everywhere = new MeshConnections(connections, cluster)
  const queueWaits = new QueueWaits()
  const deliverer = new Deliverer({
    ...{ store, runtime, leaseMs, slowConsumerMs, report },
    wakeElsewhere: ({ meshId, memberId }) => cluster.publish({ kind: 'wake', members: [{ meshId, memberId }] }),
  })
  const tell = (member: MemberKey, change: PresenceChange) =>
    void announce({ store, everywhere, report }, member, change)
  const presence = new Presence({
    ...{ seats: store.seats, runtime, deadAfterMs: config.nodeDeadMs, report },
    arrived: (member, at) => tell(member, { online: true, at }),
    end: (seat) => void connections.end(seat.connectionId, seat.ending),
    endAll: () => connections.endAll('service_restart'),
    wake: (member) => deliverer.wake(member),
  })
  /** Connections that are over and have not given back what they claimed. */
  const leaving = new Set<Promise<void>>()
  const receivers = { connections, deliverer, queueWaits, store, report }
  return {
    connections,
    everywhere,
    queueWaits,
    deliverer,
    presence,
    /** A member has been away for longer than the grace time. */
    departed: (member: MemberKey, at: number) => tell(member, { online: false, at }),
    /** Something may wait for a member, wherever it is connected. */
    wake: (member: MemberKey) => deliverer.wakeEverywhere(member),
    ...wakersOfWork(queueWaits, cluster),
    startCluster: () =>
      cluster.start({
        receive: (note) => receiveNote(receivers, note),
        // Who waits for work looks every few seconds anyway.
        missed() {
          presence.look().catch(report)
          tellRevocations(receivers).catch(report)
        },
      }),
    /** A connection is over. What it was part of is told, in reverse. */
    leave(connection: Connection): void {
      connections.remove(connection)
      if (!connection.isAdmitted) return
      const { meshId, memberId, connectionId } = connection
      if (connection.identity.options.ephemeral_ttl_ms !== undefined) {
        store.renewLeases([{ meshId, memberId }], runtime.now()).catch(report)
      }
      const detached = connection.wasOpen ? deliverer.detach(connection).catch(report) : Promise.resolve()
      // Its seat goes last: whoever takes the next one finds everything free that this one had claimed, or frees it.
      const left = detached.then(() => {
        presence.left({ meshId, memberId, connectionId })
        leaving.delete(left)
      })
      leaving.add(left)
    },
    /** Gives back what the connections of this node had. */
    async close(): Promise<void> {
      await Promise.all(leaving)
      await presence.close()
    },
  }
}

function wakersOfWork(queueWaits: QueueWaits, cluster: Cluster) {
  return {
    /** So many more messages can be taken from a queue. */
    wakeQueue: (key: QueueKey, messages: number) => {
      queueWaits.wake(key, messages)
      cluster.publish({ kind: 'queue', meshId: key.meshId, queue: key.queue, messages })
    },
    /** What whoever waits for work of a mesh may have has changed. */
    wakeQueues: (meshId: string) => {
      queueWaits.wakeMesh(meshId)
      cluster.publish({ kind: 'queues', meshId })
    },
  }
}

interface PresenceChange {
  readonly online: boolean
  readonly at: number
}

/** Tells a mesh that a member came or went, unless the member does not want to be seen. */
async function announce(
  parts: { readonly store: Store; readonly everywhere: MeshConnections; readonly report: Report },
  member: MemberKey,
  change: PresenceChange,
): Promise<void> {
  try {
    const known = await parts.store.findMember(member)
    if (known?.visible !== true || known.status !== 'active') return
    parts.everywhere.broadcast(member.meshId, [{ kind: 'presence', member_id: member.memberId, ...change }])
  } catch (error) {
    parts.report(error)
  }
}
