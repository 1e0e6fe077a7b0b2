/**
 * The composition root: builds everything in start-up order (03 §1) and closes in reverse. The parts that are large are
 * composed in compose/; what happens to a message is in the parts themselves.
 *
 *     lock > outbox (integrity, migrations, recovery) > inbox, events > identity, members > IPC open > link
 */
import { MeshError } from '@claudemesh/protocol'
import { RetentionClock } from '@claudemesh/storage'
import { type Artifacts, composeArtifacts } from './compose/artifacts.ts'
import { composeHistory, type RecordedHistory } from './compose/history.ts'
import { type ComposedHooks, composeHooks } from './compose/hooks.ts'
import { composeIdentity } from './compose/identity.ts'
import { composeIpc } from './compose/ipc.ts'
import { composeSinks } from './compose/sinks.ts'
import { composeSpaces } from './compose/spaces.ts'
import type { VerbParts } from './compose/verb-parts.ts'
import { composeVerbs, type Verbs } from './compose/verbs.ts'
import { composeDiskWatch, composeHousekeeping, composeStorageWatch } from './compose/watches.ts'
import { loadConfig } from './config/config.ts'
import type { DaemonParts, LogDestination } from './daemon-parts.ts'
import { Health } from './health.ts'
import { lastKnownTime } from './lifecycle/chores.ts'
import { type ClaimedHome, claimHome } from './lifecycle/claim-home.ts'
import { Closing } from './lifecycle/closing.ts'
import type { DiskWatch } from './lifecycle/disk-watch.ts'
import { EphemeralMember } from './lifecycle/ephemeral-member.ts'
import { type Departure, departureOf, forgetDeparture, recordDeparture } from './lifecycle/exit.ts'
import { type CheckedHost, checkHost } from './lifecycle/host-fingerprint.ts'
import { listenOnTcp } from './lifecycle/listen-tcp.ts'
import { LocalToken } from './lifecycle/local-token.ts'
import { assertMaxAgeOverride } from './lifecycle/max-age-policy.ts'
import { openStores, type Stores } from './lifecycle/open-stores.ts'
import { ReloadableConfig } from './lifecycle/reloadable-config.ts'
import { settleRequests } from './lifecycle/settle-requests.ts'
import { settleSocketPath } from './lifecycle/socket-path.ts'
import { tellOfHost, tellOfRecovery } from './lifecycle/start-findings.ts'
import type { StorageWatch } from './lifecycle/storage-watch.ts'
import { type DaemonLog, openLog } from './log.ts'
import type { Sinks } from './sinks/sinks.ts'
import type { Spaces } from './spaces/spaces.ts'
import { readVersion } from './version.ts'

export class Daemon {
  readonly #parts: DaemonParts
  readonly #home: ClaimedHome
  readonly #closing: Closing
  readonly #config: ReloadableConfig
  readonly #log: DaemonLog
  readonly #logDestination: LogDestination
  readonly #raised = new Health()
  readonly #stopping = new AbortController()
  /** Set by `#build`, which the only way to a daemon goes through. */
  #verbs: Verbs | null = null
  #disk: DiskWatch | null = null
  #hooks: ComposedHooks['hooks'] | null = null
  #reloads: Promise<void> = Promise.resolve()
  #sinks: Sinks | null = null
  #socket = ''
  #leave: (departure: Departure) => void = () => undefined
  /** Resolves when the daemon finds that it must leave by itself. */
  readonly left: Promise<Departure>

  /**
   * Brings a daemon up, or leaves everything as it was and word of why.
   *
   * @throws MeshError with what keeps it from running
   */
  static async open(parts: DaemonParts): Promise<Daemon> {
    const { sources, runtime } = parts
    const home = claimHome({
      ...{ home: sources.home, mesh: sources.mesh, now: runtime.now },
      daemonsMax: () => loadConfig(sources).config.fleet.daemonsMax,
    })
    const closing = new Closing()
    closing.add('lock', () => home.release())
    try {
      const daemon = new Daemon(parts, home, closing)
      await daemon.#build()
      forgetDeparture(home.paths.lastExit)
      return daemon
    } catch (error) {
      recordDeparture(home.paths.lastExit, departureOf(error), parts.runtime.now())
      await closing.run(null)
      throw error
    }
  }

  private constructor(parts: DaemonParts, home: ClaimedHome, closing: Closing) {
    this.#parts = parts
    this.#home = home
    this.#closing = closing
    this.#config = new ReloadableConfig(parts.sources)
    this.#logDestination = parts.openLogDestination(home.paths.log)
    closing.add('log', () => this.#logDestination.close())
    const { level } = this.#config.current().log
    this.#log = openLog({ level, destination: this.#logDestination, version: readVersion() })
    this.left = new Promise((resolve) => {
      this.#leave = resolve
    })
  }

  /** Where it listens. */
  get socket(): string {
    return this.#socket
  }

  get log(): DaemonLog {
    return this.#log
  }

  /** Leaves word of why the daemon leaves. */
  recordDeparture(departure: Departure): void {
    recordDeparture(this.#home.paths.lastExit, departure, this.#parts.runtime.now())
  }

  /**
   * Reads the configuration anew, and that of the hooks. One that cannot be used changes nothing and is told of in
   * `daemon status`.
   */
  reload(): Promise<void> {
    this.#reloads = this.#reloads.then(() => this.#reload())
    return this.#reloads
  }

  /** Answers what is being worked on, then closes everything in reverse. */
  async close(): Promise<void> {
    this.#log.lifecycle.info('daemon_stopping')
    await this.#closing.run(this.#log.lifecycle)
  }

  async #reload(): Promise<void> {
    const log = this.#log.lifecycle
    try {
      const { changed, needRestart } = this.#config.reload(({ outbox }) =>
        assertMaxAgeOverride(outbox, this.#verbs?.terms.dedupe ?? null),
      )
      log.info({ changed, need_restart: needRestart }, 'config_reloaded')
      this.#raised.clear('config_reload_failed')
      this.#warnOfSettings()
      this.#log.setLevel(this.#config.current().log.level)
      this.#disk?.measure()
      this.#sinks?.configure(this.#config.current().sinks)
      await this.#hooks?.load()
    } catch (error) {
      if (!(error instanceof MeshError)) throw error
      this.#raised.raise('config_reload_failed', error.message)
      log.error({ err: error }, 'config_reload_failed')
    }
  }

  async #build(): Promise<void> {
    const { sources, runtime } = this.#parts
    const { paths } = this.#home
    const startedAt = runtime.now()
    this.#log.lifecycle.info({ mesh: sources.mesh, environment: this.#config.environment.kind }, 'daemon_starting')
    this.#warnOfSettings()
    const place = { home: sources.home, slug: sources.mesh }
    const ephemeral = new EphemeralMember({ place, log: this.#log.lifecycle })
    this.#closing.add('ephemeral files', () => ephemeral.forget())
    const stores = openStores({ home: sources.home, slug: sources.mesh, paths, runtime, closing: this.#closing })
    tellOfRecovery(stores, { log: this.#log.lifecycle, raised: this.#raised })
    const host = this.#checkHost()
    const clock = new RetentionClock({ ...runtime, path: paths.retentionClock, lastKnown: lastKnownTime(stores) })
    const shared = { paths, config: this.#config.current, clock, runtime, closing: this.#closing }
    const history = composeHistory({ ...shared, stores, raised: this.#raised, log: this.#log.record })
    const { history: recorded } = history.store
    const sinks = composeSinks({ ...shared, history: recorded, events: stores.events, log: this.#log.sinks })
    const artifacts: Artifacts = composeArtifacts({
      ...{ ...shared, log: this.#log.artifacts },
      disk: () => disk.latest,
    })
    const { memberId: selfId } = stores.identity.meshFile
    const spaces = composeSpaces({ ...shared, selfId, diskPressure: () => disk.pressure, log: this.#log.spaces })
    const disk = composeDiskWatch({ ...shared, events: stores.events, room: artifacts.room, log: this.#log.lifecycle })
    this.#disk = disk
    const verbs = this.#composeVerbs(
      { stores, artifacts, spaces, recorder: history.recorder },
      { disk, host, ephemeral },
    )
    assertMaxAgeOverride(this.#config.current().outbox, verbs.terms.dedupe)
    const storage = composeStorageWatch({ ...shared, stores, history: history.store, leave: this.#leave })
    const hooks = await this.#composeHooks(stores, verbs)
    verbs.publisher.start()
    verbs.decisionAnnouncer.start()
    history.recorder?.wake()
    await this.#serve({ stores, artifacts, spaces, history, sinks, hooks, verbs, disk, storage, host, startedAt })
    verbs.reopener.start()
    verbs.sender.start()
    verbs.sharing.start()
    verbs.link.start()
    disk.start()
    storage.start()
    composeHousekeeping({ ...shared, stores, terms: verbs.terms, log: this.#log.lifecycle }).start()
    if (stores.identity.ephemeralTtlMs !== null) ephemeral.takeKeys(paths.keypair)
    const startMs = runtime.now() - startedAt
    if (artifacts.store.isFounded) void artifacts.store.look()
    artifacts.upkeep.start()
    history.upkeep?.start()
    this.#sinks = sinks
    sinks.configure(this.#config.current().sinks)
    hooks.hooks.start()
    this.#log.lifecycle.info({ socket: this.#socket, start_ms: startMs }, 'daemon_ready')
  }

  /** @throws MeshError host_changed */
  #checkHost(): CheckedHost {
    const { policy } = this.#config.current().clone
    const host = checkHost({ path: this.#home.paths.hostFingerprint, policy })
    tellOfHost(host, { policy, log: this.#log.lifecycle, raised: this.#raised })
    return host
  }

  #composeVerbs(
    stored: Pick<VerbParts, 'stores' | 'artifacts' | 'spaces' | 'recorder'>,
    { disk, host, ephemeral }: { disk: DiskWatch; host: CheckedHost; ephemeral: EphemeralMember },
  ): Verbs {
    const { sources, selfCommand, runtime } = this.#parts
    const verbs = composeVerbs({
      ...{ ...stored, selfCommand, runtime, home: sources.home, log: this.#log },
      version: readVersion(),
      config: this.#config.current,
      hostFingerprint: host.fingerprint,
      diskPressure: () => disk.pressure,
      preSend: () => this.#hooks?.preSend ?? null,
      leave: (departure) => this.#leave(departure),
    })
    this.#verbs = verbs
    const { publisher, decisionAnnouncer, link, receiver, readReporter, reopener, sender, sharing, deciding } = verbs
    this.#closing.add('publisher', () => publisher.stop())
    this.#closing.add('link', () => link.stop())
    this.#closing.add('membership', () => ephemeral.leave(link, stored.stores.outbox))
    const workers = { receiver, readReporter, reopener, sender, sharing, deciding, decisionAnnouncer }
    for (const [name, worker] of Object.entries(workers)) this.#closing.add(name, () => worker.stop())
    if (stored.stores.identity.ephemeralTtlMs !== null)
      this.#closing.add('drain', () => ephemeral.drain(stored.stores.outbox))
    return verbs
  }

  /** With what they say of themselves read, and none of them running yet. */
  async #composeHooks(stores: Stores, { acceptSend }: Verbs): Promise<ComposedHooks> {
    const { paths } = this.#home
    this.#socket = settleSocketPath({ paths, runtimeDirectory: this.#config.environment.runtimeDirectory })
    const composed = composeHooks({
      ...{ home: this.#parts.sources.home, paths, stores, acceptSend, socket: this.#socket },
      config: this.#config.current,
      ...{ runtime: this.#parts.runtime, closing: this.#closing, log: this.#log.hooks },
    })
    this.#hooks = composed.hooks
    await composed.hooks.load()
    return composed
  }

  async #serve(o: {
    stores: Stores
    artifacts: Artifacts
    spaces: Spaces
    history: RecordedHistory
    sinks: Sinks
    hooks: ComposedHooks
    verbs: Verbs
    disk: DiskWatch
    storage: StorageWatch
    host: CheckedHost
    startedAt: number
  }): Promise<void> {
    const { paths } = this.#home
    const { sources, runtime } = this.#parts
    const token = LocalToken.open(paths.localToken, runtime)
    const files = { home: sources.home, slug: sources.mesh, paths }
    let httpPort: number | null = null
    const ipc = await composeIpc({
      ...o,
      config: this.#config.current,
      version: readVersion(),
      socket: this.#socket,
      httpPort: () => httpPort,
      acceptedTokens: () => token.accepted(),
      identityOperations: composeIdentity({ ...o, files, token, raised: this.#raised, runtime, log: this.#log }),
      raised: this.#raised,
      runtime,
      log: this.#log,
      logLinesDropped: () => this.#logDestination.dropped,
      stopping: this.#stopping.signal,
      onStorageFailed: () => o.storage.check(),
    })
    this.#closing.add('ipc', () => ipc.close())
    this.#closing.add('requests', () => settleRequests(ipc, this.#stopping))
    const { tcp, httpPort: wanted } = this.#config.current().ipc
    const port = tcp ? wanted : null
    httpPort = await listenOnTcp({ ipc, port, paths, raised: this.#raised, log: this.#log.lifecycle })
    await ipc.listenOnSocket(this.#socket, this.#parts.listenFd)
  }

  #warnOfSettings(): void {
    const { warnings } = this.#config
    for (const warning of warnings) this.#log.lifecycle.warn({ setting: warning }, 'less_safe_setting')
    if (warnings.length === 0) this.#raised.clear('less_safe_setting')
    else this.#raised.raise('less_safe_setting', warnings.join('; '))
  }
}
