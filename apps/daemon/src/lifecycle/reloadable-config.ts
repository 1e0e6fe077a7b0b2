import { type ConfigSources, type DaemonConfig, type LoadedConfig, loadConfig } from '../config/config.ts'

/** The configuration in force, which can be read anew while the daemon runs. */
export class ReloadableConfig {
  readonly #sources: ConfigSources
  #loaded: LoadedConfig

  /** @throws MeshError config_invalid */
  constructor(sources: ConfigSources) {
    this.#sources = sources
    this.#loaded = loadConfig(sources)
  }

  readonly current = (): DaemonConfig => this.#loaded.config

  get environment(): LoadedConfig['environment'] {
    return this.#loaded.environment
  }

  get warnings(): readonly string[] {
    return this.#loaded.warnings
  }

  /**
   * Reads everything anew and takes it over when it can be used.
   *
   * @param assertUsable throws when the values cannot be used together with what is known at run time
   * @returns names of changed settings, and those of them that only a restart takes over
   * @throws MeshError config_invalid and what `assertUsable` throws; then the former configuration stays in force
   */
  reload(assertUsable: (config: DaemonConfig) => void): { changed: readonly string[]; needRestart: readonly string[] } {
    const next = loadConfig(this.#sources)
    assertUsable(next.config)
    const before = new Map(this.#loaded.entries.map(({ name, value }) => [name, JSON.stringify(value)]))
    const after = new Set(next.entries.map(({ name }) => name))
    const gone = this.#loaded.entries.filter(({ name }) => !after.has(name))
    const changed = [...next.entries.filter(({ name, value }) => before.get(name) !== JSON.stringify(value)), ...gone]
    this.#loaded = next
    return {
      changed: changed.map(({ name }) => name),
      needRestart: changed.filter(({ reload }) => !reload).map(({ name }) => name),
    }
  }
}
