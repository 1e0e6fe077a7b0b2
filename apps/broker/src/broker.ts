/**
 * The composition root: builds everything in start-up order and closes it in reverse. Verbs and nouns meet here and
 * nowhere else.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { Server as TlsServer } from 'node:https'
import { NonceRegistry } from '@claudemesh/identity'
import { MeshError, limits as wire } from '@claudemesh/protocol'
import { RetentionClock } from '@claudemesh/storage'
import { Accepting } from './accept/accepting.ts'
import { addressOf, listen, schemeOf, urlOf } from './address.ts'
import { type Attendance, buildAttendance } from './attendance.ts'
import type { Cluster } from './cluster/cluster.ts'
import type { BrokerConfig } from './config.ts'
import { dataPaths } from './data-directory.ts'
import { createReport, type Report } from './failure-report.ts'
import { answerBlobRequest, isBlobRequest } from './http/blob-routes.ts'
import { createHttpServer } from './http.ts'
import { listJobs } from './jobs/jobs.ts'
import { JobRunner } from './jobs/runner.ts'
import { acceptItemsMax, inflightBytesMax, inflightMessagesMax } from './limits.ts'
import type { Log } from './log.ts'
import { createMetrics, type Metrics } from './metrics.ts'
import { openRelay } from './relay/open-relay.ts'
import type { BlobPlace } from './relay/place.ts'
import type { Relay } from './relay/relay.ts'
import { endMembership } from './requests/leave.ts'
import type { RequestDependencies } from './requests/request-handler.ts'
import type { Runtime } from './runtime.ts'
import { assertRetention, settingsOf } from './settings.ts'
import { type DispatchDependencies, dispatch } from './socket/dispatch.ts'
import { Listener } from './socket/listener.ts'
import { originsOf } from './socket/origins.ts'
import { readProxies } from './socket/peer-address.ts'
import type { RateLimiter } from './store/rates.ts'
import type { Store } from './store/store.ts'
import { readTlsMaterial } from './tls.ts'

export interface BrokerDependencies {
  readonly config: BrokerConfig
  readonly store: Store
  /** The other brokers over the same store. */
  readonly cluster: Cluster
  readonly rates: RateLimiter
  readonly runtime: Runtime
  readonly log: Log
  readonly version: string
}

/** A broker that listens. */
export class Broker {
  /** `ws://host:port/v1/ws`, with the port it got. */
  readonly url: string
  /** Resolves when the broker can go on no longer: its database takes no more writes. */
  readonly failed: Promise<void>
  readonly #parts: Parts
  readonly #server: Server
  readonly #config: BrokerConfig

  private constructor(parts: Parts, server: Server, config: BrokerConfig) {
    this.#parts = parts
    this.#server = server
    this.#config = config
    this.url = urlOf(server, config)
    this.failed = parts.failed
  }

  /**
   * Starts a broker over a store. The store stays the caller's to close.
   *
   * @throws MeshError `config_invalid` for settings of a mesh that cannot be kept, or blobs that are elsewhere;
   *   `start_failed`
   */
  static async open(dependencies: BrokerDependencies): Promise<Broker> {
    const { config, store, runtime, log } = dependencies
    for (const mesh of await store.listMeshesWithSettings()) {
      assertRetention(settingsOf(mesh, config.settings), `the settings of mesh ${mesh.slug} (${mesh.meshId})`)
    }
    const { now, monotonicMs } = runtime
    const { retentionClock: path } = dataPaths(config.data)
    const clock = new RetentionClock({ now, monotonicMs, path, lastKnown: await store.lastAcceptedAt() })
    const relaying = await openRelaying(dependencies)
    const parts = build(dependencies, clock, relaying)
    const { alone } = await parts.attendance.presence.begin()
    // While there was no broker nobody could be connected.
    if (alone) await store.renewLeases(null, runtime.now())
    const server = createHttpServer(
      {
        isReady: () =>
          store.ping().then(
            () => true,
            () => false,
          ),
        metrics: () => readMetrics(parts, store),
        blobs: parts.answerBlobs,
        connected: () => store.expectAdmission(),
        upgrade: (request, socket, head) => parts.listener.upgrade(request, socket, head),
      },
      config.tls === null ? null : readTlsMaterial(config.tls),
    )
    await listen(server, config)
    const broker = new Broker(parts, server, config)
    // Only now is the port known, and with it the origins that a hello may name.
    const { port } = addressOf(server)
    for (const origin of originsOf({ ...config, port, scheme: schemeOf(config) })) parts.origins.add(origin)
    await parts.attendance.startCluster()
    parts.jobs.start()
    log.info({ url: broker.url, origins: [...parts.origins], registration: config.registration }, 'listening')
    return broker
  }

  /** Milliseconds for which nobody has been connected. */
  get idleMs(): number {
    return this.#parts.listener.idleMs
  }

  /** Reads the certificate anew, for connections to come. One that is not good is reported, and the old one stays. */
  reloadCertificate(): void {
    const { log } = this.#parts
    if (this.#config.tls === null || !(this.#server instanceof TlsServer)) return
    try {
      this.#server.setSecureContext({ ...readTlsMaterial(this.#config.tls), minVersion: 'TLSv1.2' })
      log.info({}, 'certificate_reloaded')
    } catch (error) {
      log.error({ err: error }, 'certificate_not_reloaded')
    }
  }

  /** Answers what it has taken, tells every daemon to come back later (1012), and stops. */
  async close(): Promise<void> {
    const { listener, accepting, jobs, attendance, cluster, relaying, log } = this.#parts
    log.info({}, 'stopping')
    const closed = new Promise((resolve) => this.#server.close(resolve))
    await jobs.stop()
    await accepting.drain()
    await listener.close()
    this.#server.closeAllConnections()
    await closed
    await attendance.close()
    await cluster.close()
    relaying?.place.close()
    log.info({}, 'stopped')
  }
}

type Parts = ReturnType<typeof build>
type Relaying = { readonly relay: Relay; readonly place: BlobPlace } | null

function openRelaying({ config, store, runtime, log }: BrokerDependencies): Promise<Relaying> | null {
  if (config.relay === null) {
    log.info({}, 'no_relay')
    return null
  }
  return openRelay(config.relay, {
    store,
    settings: config.settings,
    runtime,
    log,
    isShared: config.databaseUrl !== null,
  })
}

function build(dependencies: BrokerDependencies, clock: RetentionClock, relaying: Relaying) {
  const { config, store, runtime, cluster, rates, log, version } = dependencies
  const metrics = createMetrics()
  const { failed, report } = createReport({ store, log, failures: metrics.counters.failures })
  const nonces = new NonceRegistry({ now: () => runtime.monotonicMs() })
  const attendance = buildAttendance({ config, store, runtime, cluster, report })
  const { connections, everywhere, presence, deliverer, queueWaits, wake, wakeQueue, wakeQueues } = attendance
  const accepting = buildAccepting(dependencies, { metrics, attendance, report })
  const relay = relaying?.relay ?? null
  /** Filled when the port is known; no connection comes before. */
  const origins = new Set<string>()
  const requests: RequestDependencies = {
    store,
    runtime,
    connections: everywhere,
    ...{ wake, queueWaits, wakeQueue, wakeQueues },
    append: (submission) => accepting.append(submission),
    relay,
    metrics,
    report,
  }
  const dispatching: DispatchDependencies = {
    hello: { store, nonces, runtime, origins, registration: config.registration, settings: config.settings },
    ...{ connections, everywhere, presence, deliverer, requests },
    submit: (submissions) => accepting.submit(submissions),
    bytesMax: { inline: config.inlineBytes, blob: config.relay?.bytesMax ?? null },
    welcomeLimits,
    metrics,
    report,
  }
  const listener = new Listener({
    nonces,
    runtime,
    log,
    metrics,
    brokerVersion: version,
    proxies: proxiesOf(config),
    frame: (connection, frame, spend) => dispatch(dispatching, connection, frame, spend),
    left: (connection) => attendance.leave(connection),
  })
  const jobs = new JobRunner({
    jobs: listJobs({
      ...{ config, store, runtime, clock, metrics, log, deliverer, rates, relay, wake },
      beat: () => presence.beat(),
      departed: attendance.departed,
      end: (member) => endMembership(requests, member, { leaseEnded: true }),
    }),
    isLeader: () => cluster.isLeader,
    report,
  })
  const answerBlobs = (request: IncomingMessage, response: ServerResponse): boolean => {
    if (relay === null || !isBlobRequest(request)) return false
    void answerBlobRequest({ relay, metrics, report }, request, response)
    return true
  }
  return { metrics, attendance, cluster, origins, failed, accepting, listener, jobs, relaying, answerBlobs, log }
}

function proxiesOf({ trustedProxies }: BrokerConfig) {
  const proxies = readProxies(trustedProxies)
  if (proxies !== null) return proxies
  throw new MeshError('config_invalid', {
    detail: `of the trusted proxies ${trustedProxies.join(', ')} one is neither an address nor a network`,
    data: { field: 'trusted_proxies' },
    hint: 'Write addresses or networks, for example 127.0.0.1 or 10.0.0.0/8.',
  })
}

const welcomeLimits = {
  inflight_messages: inflightMessagesMax,
  inflight_bytes: inflightBytesMax,
  max_frame: wire.frameBytesMax,
}

function buildAccepting(
  { config, store, runtime, rates }: BrokerDependencies,
  parts: { readonly metrics: Metrics; readonly attendance: Attendance; readonly report: Report },
): Accepting {
  const { metrics, attendance, report } = parts
  return new Accepting({
    store,
    rates,
    runtime,
    inlineBytes: config.inlineBytes,
    itemsMax: acceptItemsMax,
    wake: attendance.wake,
    wakeQueue: attendance.wakeQueue,
    metrics: metrics.histograms,
    report,
  })
}

async function readMetrics({ metrics, listener, attendance, relaying }: Parts, store: Store) {
  const { deliverer, queueWaits } = attendance
  const open = [...listener.connections].filter((connection) => connection.state === 'open').length
  const { gauges } = metrics
  gauges.connections.set({ state: 'open' }, open)
  gauges.connections.set({ state: 'other' }, listener.connections.size - open)
  gauges.unacknowledged.set(deliverer.unacknowledged)
  const { meshes, members, deliveries } = await store.count()
  gauges.meshes.set(meshes)
  gauges.members.set(members)
  gauges.deliveries_waiting.set(deliveries)
  gauges.queue_waits.set(queueWaits.size)
  const { blobs, bytes } = await store.blobs.usage()
  gauges.blobs.set(blobs)
  gauges.blob_bytes_reserved.set(bytes)
  for (const direction of ['upload', 'download'] as const) {
    gauges.blob_transfers_open.set({ direction }, relaying?.relay.transfers.count(direction) ?? 0)
  }
  for (const [state, count] of Object.entries(await store.queues.count())) gauges.queue_messages.set({ state }, count)
  return { contentType: metrics.registry.contentType, text: await metrics.registry.metrics() }
}
