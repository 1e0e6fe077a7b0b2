/**
 * The configuration: the only place that reads files, environment and flags (03 §3).
 *
 * 1. Later wins: default, `<home>/config.toml`, `<home>/daemon/<slug>/config.toml`, `CLAUDEMESH_<SECTION>_<KEY>`, flags.
 * 2. What is unknown or ill-typed is refused with its place and its key, never replaced by a default.
 * 3. The result is one frozen object, and of each value it is known where it came from.
 */
import { existsSync } from 'node:fs'
import { daemonPaths, homePaths, isCi, isSetVariable, MeshError } from '@claudemesh/protocol'
import type { LogLevel } from '../log.ts'
import { type ArtifactConfig, toArtifactConfig } from './artifact-settings.ts'
import { readConfigFile } from './config-file.ts'
import { sectionNames, settingOf, settingsByName } from './config-keys.ts'
import { type FleetConfig, toFleetConfig, withShares } from './fleet-settings.ts'
import { type HistoryConfig, toHistoryConfig } from './history-settings.ts'
import {
  type ConfigEntry,
  type ConfigOrigin,
  type EnvironmentKind,
  readTextValue,
  type SettingValue,
} from './setting-forms.ts'
import { type SinkConfig, toSinkConfigs } from './sink-settings.ts'
import { type SpaceConfig, toSpaceConfig } from './space-settings.ts'
import { nearest } from './strict-toml.ts'

export type { ConfigEntry, ConfigOrigin } from './setting-forms.ts'

export interface DaemonConfig {
  readonly broker: { readonly url: string | null }
  readonly ipc: {
    readonly socketInflightMax: number
    /** Whether to listen on 127.0.0.1; `auto` is already decided. */
    readonly tcp: boolean
    readonly httpPort: number
    readonly tcpInflightMax: number
    readonly allowedOrigins: readonly string[]
    readonly publicHealthCheck: boolean
  }
  readonly outbox: { readonly maxAgeHoursDefault: number; readonly maxAgeHoursOverride: number | null }
  readonly inbox: { readonly retentionDays: number }
  readonly disk: { readonly budgetBytes: number | null }
  readonly features: { readonly require: readonly string[] }
  readonly artifacts: ArtifactConfig
  readonly spaces: SpaceConfig
  readonly history: HistoryConfig
  readonly hooks: {
    /** Whether they run; `auto` is already decided. */
    readonly enabled: boolean
  }
  readonly clone: { readonly policy: 'refuse' | 'warn' | 'allow' }
  readonly sinks: readonly SinkConfig[]
  readonly fleet: FleetConfig
  readonly log: { readonly level: LogLevel }
}

export interface ConfigSources {
  readonly home: string
  /** The slug of the mesh. */
  readonly mesh: string
  /** `section.key` to text. */
  readonly flags: Readonly<Record<string, string>>
  /** Default: the environment of this process. */
  readonly env?: Readonly<Record<string, string | undefined>>
}

export interface LoadedConfig {
  readonly config: DaemonConfig
  readonly entries: readonly ConfigEntry[]
  /** Choices that are less safe than the default, one sentence each. */
  readonly warnings: readonly string[]
  readonly environment: {
    readonly kind: EnvironmentKind
    /** `$XDG_RUNTIME_DIR`, when it is set to an absolute path. */
    readonly runtimeDirectory: string | null
  }
}

/** @throws MeshError config_invalid */
export function loadConfig(sources: ConfigSources): LoadedConfig {
  const env = sources.env ?? process.env
  const kind = environmentKind(env)
  const entries = settingsInForce(sources)
  const value = new Map(entries.map((entry) => [entry.name, entry.value]))
  const warnings = entries.flatMap((entry) => {
    const sentence = settingsByName.get(entry.name)?.warn?.(entry.value, kind) ?? null
    return sentence === null || entry.origin.source === 'default' ? [] : [`${entry.name}: ${sentence}`]
  })
  const runtimeDirectory = env['XDG_RUNTIME_DIR']
  return {
    config: Object.freeze({
      ...toConfig(value, kind),
      sinks: toSinkConfigs(entries.filter(({ name }) => name.startsWith('sinks.'))),
    }),
    entries,
    warnings,
    environment: { kind, runtimeDirectory: runtimeDirectory?.startsWith('/') === true ? runtimeDirectory : null },
  }
}

/**
 * Every setting with its value, without the secrets that it may hold, and where that came from.
 *
 * @throws MeshError config_invalid
 */
export function effectiveConfig(sources: ConfigSources): readonly ConfigEntry[] {
  return settingsInForce(sources).map((entry) => {
    const show = settingOf(entry.name)?.show
    return show === undefined ? entry : { ...entry, value: show(entry.value) }
  })
}

function settingsInForce(sources: ConfigSources): readonly ConfigEntry[] {
  const chosen = new Map<string, { value: SettingValue; origin: ConfigOrigin }>()
  for (const file of [homePaths(sources.home).config, daemonPaths(sources.home, sources.mesh).config]) {
    for (const { name, value, line } of readConfigFile(file)) {
      chosen.set(name, { value, origin: { source: 'file', place: `${file}:${line}` } })
    }
  }
  for (const [variable, name, text] of environmentSettings(sources.env ?? process.env)) {
    chosen.set(name, { value: readText(name, text, variable), origin: { source: 'environment', place: variable } })
  }
  for (const [name, text] of Object.entries(sources.flags)) {
    const place = `--${name}`
    chosen.set(name, { value: readText(name, text, place), origin: { source: 'flag', place } })
  }
  // Of sinks there are as many as are named.
  const names = new Set([...settingsByName.keys(), ...chosen.keys()])
  const entries = [...names].map((name) => {
    const setting = settingOf(name)
    if (setting === undefined) throw new Error(`${name} was read and is no setting`)
    const found = chosen.get(name) ?? { value: setting.default, origin: { source: 'default' as const, place: null } }
    return { name, ...found, describe: setting.describe, reload: setting.reload }
  })
  return withShares(sources.home, entries)
}

function readText(name: string, text: string, place: string): SettingValue {
  const setting = settingsByName.get(name)
  if (setting === undefined) {
    const near = nearest(name, [...settingsByName.keys()])
    const detail = `${place}: there is no setting ${name}${near === null ? '' : `; did you mean ${near}?`}`
    throw new MeshError('config_invalid', { detail, data: { key: name } })
  }
  const reading = readTextValue(setting.form, text)
  if (!reading.ok)
    throw new MeshError('config_invalid', { detail: `${place}: ${name} ${reading.fault}`, data: { key: name } })
  return reading.value
}

/** Sections whose variables other programs of this software use as well: what is unknown there is not ours to refuse. */
const sharedPrefixes: ReadonlySet<string> = new Set(['broker'])

/** `CLAUDEMESH_ARTIFACTS_RETENTION_RAW_EVIDENCE` to `artifacts.retention.raw-evidence`. */
const settingOfVariable: ReadonlyMap<string, string> = new Map(
  [...settingsByName.keys()].map((name) => [`CLAUDEMESH_${name.toUpperCase().replaceAll(/[.-]/g, '_')}`, name]),
)

/** The variables that set something, as [variable, setting, text]; an unknown one in a section of ours is refused. */
function environmentSettings(env: Readonly<Record<string, string | undefined>>): [string, string, string][] {
  const found: [string, string, string][] = []
  for (const [variable, text] of Object.entries(env)) {
    if (text === undefined || !variable.startsWith('CLAUDEMESH_')) continue
    const known = settingOfVariable.get(variable)
    if (known !== undefined) {
      found.push([variable, known, text])
      continue
    }
    const rest = variable.slice('CLAUDEMESH_'.length).toLowerCase()
    const section = sectionNames.find((name) => rest.startsWith(`${name}_`))
    if (section === undefined || sharedPrefixes.has(section)) continue
    found.push([variable, `${section}.${rest.slice(section.length + 1)}`, text])
  }
  return found
}

const containerVariables = ['KUBERNETES_SERVICE_HOST', 'RUNPOD_POD_ID']

/** CI before container: CI jobs mostly run in containers, and the stricter of the two rules is theirs. */
function environmentKind(env: Readonly<Record<string, string | undefined>>): EnvironmentKind {
  if (isCi(env)) return 'ci'
  return containerVariables.some((name) => isSetVariable(env[name])) || existsSync('/.dockerenv') ? 'container' : 'host'
}

/** The casts are covered: every value went through the form of its own row. */
function toConfig(value: ReadonlyMap<string, SettingValue>, kind: EnvironmentKind): Omit<DaemonConfig, 'sinks'> {
  const get = <T extends SettingValue>(name: string) => value.get(name) as T
  const tcp = get<'auto' | 'on' | 'off'>('ipc.tcp')
  const hooks = get<'auto' | 'on' | 'off'>('hooks.enabled')
  return {
    broker: Object.freeze({ url: get<string | null>('broker.url') }),
    ipc: Object.freeze({
      socketInflightMax: get<number>('ipc.socket_inflight_max'),
      tcp: tcp === 'auto' ? kind === 'host' : tcp === 'on',
      httpPort: get<number>('ipc.http_port'),
      tcpInflightMax: get<number>('ipc.tcp_inflight_max'),
      allowedOrigins: get<readonly string[]>('ipc.allowed_origins'),
      publicHealthCheck: get<boolean>('ipc.public_health_check'),
    }),
    outbox: Object.freeze({
      maxAgeHoursDefault: get<number>('outbox.max_age_hours_default'),
      maxAgeHoursOverride: get<number | null>('outbox.max_age_hours_override'),
    }),
    inbox: Object.freeze({ retentionDays: get<number>('inbox.retention_days') }),
    disk: Object.freeze({ budgetBytes: get<number | null>('disk.budget_bytes') }),
    features: Object.freeze({ require: get<readonly string[]>('features.require') }),
    artifacts: toArtifactConfig(value),
    spaces: toSpaceConfig(value),
    history: toHistoryConfig(value),
    hooks: Object.freeze({ enabled: hooks === 'auto' ? kind !== 'ci' : hooks === 'on' }),
    clone: Object.freeze({ policy: get<'refuse' | 'warn' | 'allow'>('clone.policy') }),
    fleet: toFleetConfig(value),
    log: Object.freeze({ level: get<LogLevel>('log.level') }),
  }
}
