/**
 * The store of artifacts (06), open for as long as the daemon runs.
 *
 * 1. It is opened when it is first needed: a daemon that has no artifacts neither loads nor holds anything of them.
 * 2. What keeps it from opening is told to whoever asks for it and in `/v1/health`; messages flow as without it.
 * 3. A database that refused a write for good is let go and opened anew for the next who asks.
 */
import { existsSync } from 'node:fs'
import type { Registry } from '@claudemesh/artifacts'
import { type DaemonPaths, type ErrorCode, MeshError } from '@claudemesh/protocol'
import type { ArtifactsHealth } from '@claudemesh/protocol/artifacts'
import { ensurePrivateDirectory } from '@claudemesh/storage'
import type { ArtifactConfig } from '../config/artifact-settings.ts'
import { artifactsCloseMsMax, artifactsHealthMsMax, artifactsReopenMs } from '../limits.ts'
import type { Log } from '../log.ts'
import { OnDemand, within } from '../on-demand.ts'
import type { Runtime } from '../runtime.ts'
import { assertDatabaseIsThere, databaseFileOf, registryConfigOf } from './registry-config.ts'
import { toHealthView } from './views.ts'

export interface ArtifactStoreOptions {
  readonly paths: DaemonPaths
  readonly config: ArtifactConfig
  readonly runtime: Runtime
  readonly log: Log
}

/** How the store was when somebody last looked, and the sentence for it where it is not well. */
export interface Finding {
  readonly status: ArtifactsHealth['status']
  readonly detail: string | null
}

export class ArtifactStore {
  readonly #o: ArtifactStoreOptions
  readonly #registry: OnDemand<Registry>
  #latest: Finding | null = null

  constructor(o: ArtifactStoreOptions) {
    this.#o = o
    this.#registry = new OnDemand({
      open: () => this.#open(),
      close: (registry) => registry.close(),
      refuse: (cause) => this.#refuse(cause),
      retryMs: artifactsReopenMs,
      closeMsMax: artifactsCloseMsMax,
      monotonicMs: o.runtime.monotonicMs,
    })
  }

  /** Whether there is a store to look after, here or where the configuration says. */
  get isFounded(): boolean {
    const file = databaseFileOf(registryConfigOf(this.#o))
    return file === null || existsSync(file)
  }

  /** What was last found; null when nobody has needed the store. */
  get latest(): Finding | null {
    return this.#latest
  }

  /**
   * Does something with the store, which is opened for it if need be. What of a result is iterated later is outside of it.
   *
   * @throws MeshError `shutting_down`, `database_unavailable` when it cannot be opened, and what `run` throws; where that
   *   names files of this host, without their names
   */
  async use<T>(run: (registry: Registry) => Promise<T>): Promise<T> {
    const registry = await this.#registry.get()
    try {
      return await run(registry)
    } catch (error) {
      if (error instanceof MeshError && error.code === 'storage_failed') this.#letGo(registry, error)
      throw withoutPaths(error)
    }
  }

  /** Looks how the store is; it is opened for that. Never throws. */
  async look(): Promise<ArtifactsHealth> {
    const registry = await this.#registry.get().catch(() => null)
    if (registry === null) return this.#downView()
    const found = (await within(artifactsHealthMsMax, registry.health().then(toHealthView))) ?? this.#downView()
    const sick = found.backends.find(({ healthy }) => !healthy)
    const detail = found.status === 'down' ? 'its database does not answer' : (sick?.detail ?? null)
    this.#latest = { status: found.status, detail }
    return found
  }

  /** Looks again if the store was ever needed. It is not waited for one that has yet to be opened. */
  async lookAgain(): Promise<void> {
    if (this.#latest === null || this.#registry.isClosed) return
    const isOpen = this.#registry.opened !== null
    const looking = this.look()
    if (isOpen) await looking
  }

  async close(): Promise<void> {
    await this.#registry.close()
  }

  #refuse(cause: unknown): MeshError {
    this.#latest = { status: 'down', detail: sentence(cause) }
    this.#o.log.error({ err: cause }, 'artifacts_not_opened')
    return unavailable(cause)
  }

  async #open(): Promise<Registry> {
    const { log } = this.#o
    // Loaded when it is needed, as it takes memory that a daemon without artifacts does not have to spare.
    const { blake3Provider, openRegistry } = await import('@claudemesh/artifacts')
    const { paths, config, runtime } = this.#o
    const { databaseUrl, storageRoot } = config
    if (databaseUrl === null || storageRoot === null) ensurePrivateDirectory(paths.artifacts)
    const registryConfig = registryConfigOf({ paths, config, runtime })
    await assertDatabaseIsThere(registryConfig)
    const registry = await openRegistry(registryConfig)
    this.#latest = { status: 'ok', detail: null }
    const { name } = blake3Provider
    if (name === 'javascript') log.warn({ provider: name }, 'slow_hash_provider')
    log.info({ registry_id: registry.registryId, hash_provider: name }, 'artifacts_opened')
    return registry
  }

  #downView(): ArtifactsHealth {
    const engine = this.#o.config.databaseUrl?.startsWith('postgres') === true ? 'postgres' : 'sqlite'
    return { status: 'down', registry: null, database: { engine, healthy: false }, backends: [] }
  }

  #letGo(registry: Registry, error: MeshError): void {
    const onNotClosed = (cause: unknown) => this.#o.log.error({ err: cause }, 'artifacts_not_closed')
    if (!this.#registry.letGo(registry, onNotClosed)) return
    this.#latest = { status: 'down', detail: error.message }
    this.#o.log.error({ err: error }, 'artifacts_let_go')
  }
}

/** Codes of the disk and of the database under the store, to what they are for a caller; their texts name files. */
const outwards: Readonly<Partial<Record<ErrorCode, ErrorCode>>> = {
  storage_failed: 'storage_io',
  insufficient_storage: 'insufficient_storage',
}

function withoutPaths(error: unknown): unknown {
  const code = error instanceof MeshError ? outwards[error.code] : undefined
  return code === undefined ? error : new MeshError(code, { cause: error })
}

/** What a caller is told of a store that cannot be opened; the log and `/v1/health` say why. */
function unavailable(cause: unknown): MeshError {
  const known = withoutPaths(cause)
  if (known instanceof MeshError && (known !== cause || known.retryable)) return known
  return new MeshError('database_unavailable', {
    detail: 'The store of artifacts cannot be opened',
    hint: '`claudemesh daemon status` says why.',
    cause,
  })
}

function sentence(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
