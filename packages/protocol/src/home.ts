/**
 * Where things are under a home directory (03 §1): the names on which the daemon, the client and the CLI agree.
 * Plain text, `/` separated; nothing here touches the disk.
 */
import { meshSlugPattern } from './destination.ts'

/** Files of the home itself. */
export interface HomePaths {
  readonly home: string
  readonly config: string
  /** Directory of one `<slug>.json` per mesh. */
  readonly meshes: string
  /** Data of the local broker, when this home runs one. */
  readonly broker: string
  /** Held while a daemon finds out whether it may be one more. */
  readonly fleetLock: string
}

/** Files of one daemon, all below `<home>/daemon/<slug>/`. */
export interface DaemonPaths {
  readonly directory: string
  readonly lock: string
  readonly pid: string
  readonly socket: string
  /** Holds the socket's real path when `socket` would be longer than the system allows. */
  readonly socketPath: string
  readonly httpPort: string
  readonly localToken: string
  readonly keypair: string
  /** Box keys that were replaced and still open late messages. */
  readonly keypairArchive: string
  /** There while a rotation of the keys is decided and not yet carried out. */
  readonly rotationIntent: string
  /** There from the first file of a restore to its last: what a home without a mesh file holds may be written over then. */
  readonly restoreBegun: string
  /** There while a recovery puts what it salvaged in the place of what is damaged: no daemon starts on half of it. */
  readonly recoverBegun: string
  /** There while the stores of a member are taken away: no daemon starts on what is left of them. */
  readonly resetBegun: string
  /** Directory of what recoveries wrote out for people. */
  readonly recovered: string
  /** The host that this member was last accepted on. */
  readonly hostFingerprint: string
  readonly config: string
  readonly outboxDatabase: string
  readonly inboxDatabase: string
  readonly membersDatabase: string
  readonly eventsDatabase: string
  /** Of the record of everything sent and received. */
  readonly history: string
  /** Everything of the store of artifacts that is not said to be elsewhere. */
  readonly artifacts: string
  readonly artifactsDatabase: string
  readonly artifactsObjects: string
  /** Of the repository of decisions, when it is not said to be elsewhere. */
  readonly spaces: string
  readonly spacesRepository: string
  readonly sinks: string
  /** Executables that events fire, and their hooks.toml. */
  readonly hooks: string
  readonly log: string
  /** Why the daemon left the last time, when it left for a reason that a person should know. */
  readonly lastExit: string
  /** The time that was believed last: by it things are past theirs. */
  readonly retentionClock: string
}

const slugRegExp = new RegExp(meshSlugPattern)

/** The slugs of the meshes of a home, sorted, by the names in its directory of them. */
export function meshSlugs(names: readonly string[]): readonly string[] {
  return names
    .filter((name) => name.endsWith('.json'))
    .map((name) => name.slice(0, -'.json'.length))
    .filter((slug) => slugRegExp.test(slug))
    .toSorted()
}

export function homePaths(home: string): HomePaths {
  return {
    home,
    config: `${home}/config.toml`,
    meshes: `${home}/meshes`,
    broker: `${home}/broker`,
    fleetLock: `${home}/daemon/fleet.lock`,
  }
}

/** The file of one mesh: its record, its broker, and this host's own certificate chain. */
export function meshFilePath(home: string, slug: string): string {
  return `${homePaths(home).meshes}/${slug}.json`
}

export function daemonPaths(home: string, slug: string): DaemonPaths {
  const directory = `${home}/daemon/${slug}`
  return {
    directory,
    lock: `${directory}/lock`,
    pid: `${directory}/pid`,
    socket: `${directory}/sock`,
    socketPath: `${directory}/sock.path`,
    httpPort: `${directory}/http.port`,
    localToken: `${directory}/local_token`,
    keypair: `${directory}/keypair.json`,
    keypairArchive: `${directory}/keypair-archive.json`,
    rotationIntent: `${directory}/rotation-intent.json`,
    restoreBegun: `${directory}/restore-begun`,
    recoverBegun: `${directory}/recover-begun`,
    resetBegun: `${directory}/reset-begun`,
    recovered: `${directory}/recovered`,
    hostFingerprint: `${directory}/host_fingerprint.json`,
    config: `${directory}/config.toml`,
    outboxDatabase: `${directory}/outbox.db`,
    inboxDatabase: `${directory}/inbox.db`,
    membersDatabase: `${directory}/members.db`,
    eventsDatabase: `${directory}/events.db`,
    history: `${directory}/history`,
    artifacts: `${directory}/artifacts`,
    artifactsDatabase: `${directory}/artifacts/registry.db`,
    artifactsObjects: `${directory}/artifacts/objects`,
    spaces: `${directory}/spaces`,
    spacesRepository: `${directory}/spaces/decisions.git`,
    sinks: `${directory}/sinks`,
    hooks: `${directory}/hooks`,
    log: `${directory}/daemon.log`,
    lastExit: `${directory}/last-exit.json`,
    retentionClock: `${directory}/retention-clock`,
  }
}
