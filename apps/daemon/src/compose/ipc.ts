/** Part of the composition root: the HTTP interface with all its routes. */

import type { DaemonConfig } from '../config/config.ts'
import type { Health } from '../health.ts'
import type { HealthSources } from '../health-report.ts'
import { RouteCounts } from '../ipc/route-counts.ts'
import { artifactRoutes } from '../ipc/routes/artifacts/artifacts.ts'
import type { PackageSigner } from '../ipc/routes/artifacts/route-options.ts'
import { eventRoutes } from '../ipc/routes/events.ts'
import { fileRoutes } from '../ipc/routes/files.ts'
import { healthRoutes } from '../ipc/routes/health.ts'
import { historyRoutes } from '../ipc/routes/history.ts'
import { hookRoutes } from '../ipc/routes/hooks.ts'
import { type IdentityOperations, identityRoutes } from '../ipc/routes/identity.ts'
import { inboxRoutes } from '../ipc/routes/inbox.ts'
import { messageRoutes } from '../ipc/routes/messages.ts'
import { outboxRoutes } from '../ipc/routes/outbox.ts'
import { peerRoutes } from '../ipc/routes/peers.ts'
import { queueRoutes } from '../ipc/routes/queues.ts'
import { sendRoutes } from '../ipc/routes/send.ts'
import { sinkRoutes } from '../ipc/routes/sinks.ts'
import type { SpaceRouteOptions } from '../ipc/routes/spaces/route-options.ts'
import { spaceRoutes } from '../ipc/routes/spaces/spaces.ts'
import { topicRoutes } from '../ipc/routes/topics.ts'
import { IpcServer } from '../ipc/server.ts'
import { EventStreams } from '../ipc/sse.ts'
import { createValidators } from '../ipc/validation.ts'
import type { DiskWatch } from '../lifecycle/disk-watch.ts'
import type { Stores } from '../lifecycle/open-stores.ts'
import type { DaemonLog } from '../log.ts'
import { Metrics } from '../metrics.ts'
import type { Runtime } from '../runtime.ts'
import type { Sinks } from '../sinks/sinks.ts'
import type { DecisionKeys } from '../spaces/signatures.ts'
import type { Spaces } from '../spaces/spaces.ts'
import type { Artifacts } from './artifacts.ts'
import type { RecordedHistory } from './history.ts'
import type { ComposedHooks } from './hooks.ts'
import type { Verbs } from './verbs.ts'

export interface IpcParts {
  readonly config: () => DaemonConfig
  readonly version: string
  readonly startedAt: number
  readonly socket: string
  readonly httpPort: () => number | null
  readonly acceptedTokens: () => readonly string[]
  readonly identityOperations: IdentityOperations
  readonly stores: Stores
  readonly artifacts: Artifacts
  readonly spaces: Spaces
  readonly history: RecordedHistory
  readonly sinks: Sinks
  readonly hooks: ComposedHooks
  readonly verbs: Verbs
  readonly disk: DiskWatch
  readonly raised: Health
  readonly runtime: Runtime
  readonly log: DaemonLog
  readonly logLinesDropped: () => number
  /** Ends requests that wait when the daemon stops. */
  readonly stopping: AbortSignal
  /** A write was refused by the disk: somebody should look whether the handle can still be used. */
  readonly onStorageFailed: () => void
}

export async function composeIpc(parts: IpcParts): Promise<IpcServer> {
  const { config, runtime, stores, verbs, log, stopping } = parts
  const { outbox, inbox, members, events } = stores
  const { directory, acceptSend, operate } = verbs
  const sources = healthSources(parts)
  const { name, memberId } = sources.self
  const validators = createValidators()
  const streams = new EventStreams(events)
  const routeCounts = new RouteCounts()
  const metrics = new Metrics({
    ...sources,
    routeCounts,
    inflight: () => ipc.inflight,
    eventStreams: () => streams.count,
    logLinesDropped: parts.logLinesDropped,
    hookRequestsRefused: () => parts.hooks.door.refused,
  })
  const { reconcile } = directory
  const ipc = await IpcServer.create({
    config,
    acceptedTokens: parts.acceptedTokens,
    version: parts.version,
    runtime,
    log: log.ipc,
    validators,
    streams,
    onConnection: () => outbox.expectDraft(),
    onAnswered: routeCounts.record,
    onProblem: ({ code }) => {
      metrics.countProblem(code)
      if (code === 'storage_failed') parts.onStorageFailed()
    },
    routes: [
      // First: it lists the routes that come after it.
      healthRoutes({ sources, metrics }),
      sendRoutes({
        acceptSend,
        validators,
        stopping,
        onItemFailed: (error) => {
          log.ipc.error({ err: error }, 'batch_item_failed')
          if (error.code === 'storage_failed') parts.onStorageFailed()
        },
      }),
      topicRoutes({ members, reconcile }),
      queueRoutes({ queues: verbs.queues, stopping }),
      inboxRoutes({ inbox, members }),
      messageRoutes({ inbox, outbox, members, self: { memberId, name } }),
      outboxRoutes({ outbox, operate, freeze: verbs.freezeOutbox }),
      peerRoutes({ members, reconcile }),
      eventRoutes({ streams }),
      historyRoutes({ ...parts.history, members, mesh: stores.identity.slug }),
      sinkRoutes({ sinks: parts.sinks }),
      hookRoutes(parts.hooks),
      artifactRoutes({ ...parts.artifacts, actor: memberId, signer: packageSigner(stores), stopping }),
      spaceRoutes({ ...spaceOptions(parts), streams }),
      fileRoutes({ ...verbs.sharing, store: parts.artifacts.store }),
      identityRoutes(parts.identityOperations),
    ],
  })
  return ipc
}

function packageSigner({ identity, members }: Stores): PackageSigner {
  return {
    keys: () => identity.keys.signing,
    standing: (keyId) => members.signingKeys.standing(keyId, identity.meshFile.chain),
  }
}

function spaceOptions({ spaces, verbs, stores, runtime, stopping }: IpcParts): Omit<SpaceRouteOptions, 'streams'> {
  const { identity, members } = stores
  const { mesh, memberId } = identity.meshFile
  const keys: DecisionKeys = {
    mesh,
    own: () => identity.keys.signing,
    actorChain: (id) => members.signingKeys.actorChain(id, identity.meshFile.chain),
  }
  const { shared } = verbs.deciding
  return { spaces, shared, actor: memberId, keys, nextId: () => runtime.nextId(), stopping }
}

function healthSources(parts: IpcParts): HealthSources {
  const { stores, verbs } = parts
  const { slug, meshFile } = stores.identity
  return {
    self: {
      mesh: slug,
      meshId: meshFile.mesh.mesh_id,
      memberId: meshFile.memberId,
      name: meshFile.name,
    },
    startedAt: parts.startedAt,
    version: parts.version,
    sqliteVersion: stores.outbox.libraryVersion,
    socket: parts.socket,
    httpPort: parts.httpPort,
    maxAgeHours: verbs.maxAgeHours,
    features: () => verbs.terms.features,
    link: verbs.link,
    sender: verbs.sender,
    sharing: verbs.sharing,
    skipped: verbs.skipped,
    receiver: verbs.receiver,
    queues: verbs.queues,
    outbox: stores.outbox,
    inbox: stores.inbox,
    members: stores.members,
    events: stores.events,
    artifacts: parts.artifacts.store,
    spaces: parts.spaces,
    sinks: parts.sinks,
    hooks: parts.hooks.hooks,
    disk: parts.disk,
    raised: parts.raised,
    runtime: parts.runtime,
  }
}
