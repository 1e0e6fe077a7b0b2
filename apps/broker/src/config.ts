/**
 * The broker's configuration: what the caller says, else the environment, else the default, as one frozen object. What
 * is unknown or ill-typed is refused, never replaced by a default.
 */
import { MeshError } from '@claudemesh/protocol'
import { assertRetention, type MeshSettings } from './settings.ts'

export interface BrokerOptions {
  /** Directory of the embedded database, the lock and the log; made when there is none. */
  readonly data: string
  /** The PostgreSQL database of a team, `postgres://…`, which any number of brokers share; null: the embedded one. */
  readonly databaseUrl: string | null
  readonly host: string
  /** 0: any free port. */
  readonly port: number
  /** URLs under which daemons reach this broker through a proxy or another name. */
  readonly publicUrls: readonly string[]
  /** Leave after so long without a connection; null: stay. */
  readonly idleExitMs: number | null
  /** `open`: a mesh that is not known yet is registered by the first hello that carries its signed record. */
  readonly registration: 'open' | 'closed'
  /** Files of the certificate chain and its key, PEM; null: a proxy ends TLS, or nobody does. */
  readonly tls: TlsFiles | null
  /** Addresses or networks of proxies whose `X-Forwarded-For` is believed. */
  readonly trustedProxies: readonly string[]
}

export interface TlsFiles {
  readonly cert: string
  readonly key: string
}

export interface RelayConfig {
  /** Largest blob. */
  readonly bytesMax: number
  /**
   * Where blobs are kept, and wait while they come. Brokers over one database share it, unless a bucket keeps them: then
   * each may have its own.
   */
  readonly directory: string
  readonly bucket: BucketConfig | null
}

/** A bucket of S3, or of what speaks like it. */
export interface BucketConfig {
  /** Null: that of AWS for the region. */
  readonly endpointUrl: string | null
  readonly region: string
  readonly bucket: string
  readonly keyPrefix: string
  /** Where the keys are found: `env:NAME`, or `file:` and an absolute path. */
  readonly accessKeyRef: string
  readonly secretKeyRef: string
  readonly forcePathStyle: boolean
}

export interface BrokerConfig extends BrokerOptions {
  readonly settings: MeshSettings
  /** How long a pushed delivery waits for its acknowledgement before it is pushed again. */
  readonly leaseMs: number
  /** How long a connection may leave what was pushed to it unread. */
  readonly slowConsumerMs: number
  /** How long a member may be away without anybody being told. */
  readonly presenceGraceMs: number
  /** Of several brokers over one database: how often each says that it lives, and when the others give it up. */
  readonly nodeHeartbeatMs: number
  readonly nodeDeadMs: number
  /** Largest message body; the sealed form may be larger by its header. */
  readonly inlineBytes: number
  /** The relay for sealed blobs; null: there is none. */
  readonly relay: RelayConfig | null
  /** New messages per second. */
  readonly rate: { readonly member: number; readonly mesh: number }
  /** How often expiry and retention look for work. */
  readonly jobIntervalMs: number
  readonly logLevel: LogLevel
}

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent'

type Environment = Readonly<Record<string, string | undefined>>

const prefix = 'CLAUDEMESH_BROKER_'
/** Settings of a daemon that begin alike: they may stand in an environment that both read. */
const ofDaemons = new Set([`${prefix}URL`])
const loopback = new Set(['127.0.0.1', '::1', 'localhost'])

/** @throws MeshError `config_invalid`, naming the variable */
export function loadConfig(environment: Environment, overrides: Partial<BrokerConfig>): BrokerConfig {
  const read = reader(environment)
  const host = overrides.host ?? read.text('HOST', '127.0.0.1')
  const data = overrides.data ?? read.text('DATA', defaultDirectory(environment))
  const databaseUrl = overrides.databaseUrl ?? read.optionalText('DATABASE_URL')
  const defaults: BrokerConfig = {
    data,
    databaseUrl,
    host,
    port: read.integer('PORT', { fallback: 7520, min: 0, max: 65_535 }),
    publicUrls: read.list('PUBLIC_URLS'),
    idleExitMs: read.optionalInteger('IDLE_EXIT_MS', { min: 0, max: 86_400_000 }),
    // Whoever reaches a loopback port is at home; on a network the operator says which meshes are welcome.
    registration: read.choice('REGISTRATION', ['open', 'closed'], loopback.has(host) ? 'open' : 'closed'),
    tls: readTls(read),
    trustedProxies: read.list('TRUSTED_PROXIES'),
    settings: readSettings(read),
    leaseMs: read.integer('LEASE_MS', { fallback: 30_000, min: 10, max: 3_600_000 }),
    slowConsumerMs: read.integer('SLOW_CONSUMER_MS', { fallback: 30_000, min: 10, max: 3_600_000 }),
    presenceGraceMs: read.integer('PRESENCE_GRACE_MS', { fallback: 90_000, min: 0, max: 3_600_000 }),
    nodeHeartbeatMs: read.integer('NODE_HEARTBEAT_MS', { fallback: 5_000, min: 50, max: 60_000 }),
    nodeDeadMs: read.integer('NODE_DEAD_MS', { fallback: 15_000, min: 150, max: 600_000 }),
    inlineBytes: read.integer('INLINE_BYTES', { fallback: 64 * 1024, min: 1024, max: 512 * 1024 }),
    relay: readRelay(read, databaseUrl === null ? `${data}/blobs` : ''),
    rate: {
      member: read.integer('RATE_MEMBER_PER_SECOND', { fallback: 20_000, min: 1, max: 10_000_000 }),
      mesh: read.integer('RATE_MESH_PER_SECOND', { fallback: 50_000, min: 1, max: 10_000_000 }),
    },
    jobIntervalMs: read.integer('JOB_INTERVAL_MS', { fallback: 60_000, min: 10, max: 86_400_000 }),
    logLevel: read.choice('LOG_LEVEL', ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'], 'info'),
  }
  read.assertNothingElse()
  const config = Object.freeze({ ...defaults, ...withoutUndefined(overrides) })
  assertRetention(config.settings, 'the settings of this broker')
  assertDatabaseUrl(config.databaseUrl)
  if (config.nodeDeadMs < 2 * config.nodeHeartbeatMs) {
    throw invalid(`${prefix}NODE_DEAD_MS`, `is less than twice ${prefix}NODE_HEARTBEAT_MS`)
  }
  return config
}

/** What is wrong with it is not repeated: it may hold a password. */
function assertDatabaseUrl(url: string | null): void {
  if (url === null || /^postgres(ql)?:\/\//.test(url)) return
  throw invalid(`${prefix}DATABASE_URL`, 'does not begin with postgres://')
}

function readTls(read: ReturnType<typeof reader>): TlsFiles | null {
  const cert = read.text('TLS_CERT', '')
  const key = read.text('TLS_KEY', '')
  if (cert === '' && key === '') return null
  if (cert === '') throw invalid(`${prefix}TLS_CERT`, `is not set, though ${prefix}TLS_KEY is`)
  if (key === '') throw invalid(`${prefix}TLS_KEY`, `is not set, though ${prefix}TLS_CERT is`)
  return { cert, key }
}

/**
 * @param fallback the directory of a broker that has one for itself; several over one database are told theirs, or relay
 *   nothing
 */
function readRelay(read: ReturnType<typeof reader>, fallback: string): RelayConfig | null {
  const bytesMax = read.integer('BLOB_BYTES', { fallback: 1024 ** 3, min: 0, max: 64 * 1024 ** 3 })
  const directory = read.text('BLOB_DIRECTORY', fallback)
  const bucket = readBucket(read)
  if (bytesMax === 0) return null
  if (directory !== '') return { bytesMax: Math.max(1024, bytesMax), directory, bucket }
  if (bucket === null) return null
  throw invalid(
    `${prefix}BLOB_DIRECTORY`,
    `is not set, though ${prefix}BLOB_S3_BUCKET is: blobs wait there as they come`,
  )
}

function readBucket(read: ReturnType<typeof reader>): BucketConfig | null {
  const bucket = read.optionalText('BLOB_S3_BUCKET')
  const settings = {
    endpointUrl: read.optionalText('BLOB_S3_ENDPOINT_URL'),
    region: read.text('BLOB_S3_REGION', 'us-east-1'),
    keyPrefix: read.text('BLOB_S3_KEY_PREFIX', ''),
    accessKeyRef: read.text('BLOB_S3_ACCESS_KEY_REF', 'env:AWS_ACCESS_KEY_ID'),
    secretKeyRef: read.text('BLOB_S3_SECRET_KEY_REF', 'env:AWS_SECRET_ACCESS_KEY'),
    forcePathStyle: read.choice('BLOB_S3_FORCE_PATH_STYLE', ['true', 'false'], 'false') === 'true',
  }
  return bucket === null ? null : { bucket, ...settings }
}

function readSettings(read: ReturnType<typeof reader>): MeshSettings {
  const dedupeMode = read.choice('DEDUPE_MODE', ['retention_scoped', 'permanent'], 'retention_scoped')
  const dedupeRetentionDays = read.integer('DEDUPE_RETENTION_DAYS', { ...retentionDays, fallback: 30 })
  // Who asks for ids to be forgotten sooner need not say so of the messages too.
  const fallback = dedupeMode === 'permanent' ? 30 : Math.min(30, dedupeRetentionDays)
  return {
    dedupeMode,
    dedupeRetentionDays,
    messageRetentionDays: read.integer('MESSAGE_RETENTION_DAYS', { ...retentionDays, fallback }),
    concurrencyPolicy: read.choice(
      'CONCURRENCY_POLICY',
      ['prefer_newest', 'prefer_oldest', 'allow_concurrent'],
      'prefer_newest',
    ),
    blobQuotaBytes: read.integer('BLOB_QUOTA_BYTES', { fallback: 10 * 1024 ** 3, min: 1024, max: 1024 ** 5 }),
  }
}

const retentionDays = { min: 1, max: 36_500 }

function defaultDirectory(environment: Environment): string {
  const home = environment['CLAUDEMESH_HOME'] ?? `${environment['HOME'] ?? '.'}/.claudemesh`
  return `${home}/broker`
}

interface Range {
  readonly min: number
  readonly max: number
}

function reader(environment: Environment) {
  const seen = new Set<string>()
  const find = (name: string): string | undefined => {
    seen.add(prefix + name)
    const value = environment[prefix + name]
    return value === '' ? undefined : value
  }
  const optionalInteger = (name: string, range: Range): number | null => {
    const text = find(name)
    return text === undefined ? null : parseInteger(prefix + name, text, range)
  }
  return {
    text: (name: string, fallback: string): string => find(name) ?? fallback,
    optionalText: (name: string): string | null => find(name) ?? null,
    list: (name: string): readonly string[] =>
      (find(name) ?? '')
        .split(',')
        .map((part) => part.trim())
        .filter((part) => part !== ''),
    optionalInteger,
    integer: (name: string, range: Range & { readonly fallback: number }): number =>
      optionalInteger(name, range) ?? range.fallback,
    choice<C extends string>(name: string, choices: readonly C[], fallback: C): C {
      const text = find(name)
      if (text === undefined) return fallback
      const choice = choices.find((candidate) => candidate === text)
      if (choice === undefined) throw invalid(prefix + name, `is ${text}; it takes ${choices.join(', ')}`)
      return choice
    },
    assertNothingElse(): void {
      const unknown = Object.keys(environment).find(
        (name) => name.startsWith(prefix) && !seen.has(name) && !ofDaemons.has(name),
      )
      if (unknown !== undefined) throw invalid(unknown, 'is not a setting of the broker')
    },
  }
}

function parseInteger(variable: string, text: string, { min, max }: Range): number {
  const value = /^[0-9]{1,15}$/.test(text) ? Number(text) : Number.NaN
  if (value >= min && value <= max) return value
  throw invalid(variable, `is ${text}; it takes a number from ${min} to ${max}`)
}

function invalid(variable: string, fault: string): MeshError {
  return new MeshError('config_invalid', {
    detail: `${variable} ${fault}`,
    data: { field: variable },
    hint: `Correct or unset ${variable}.`,
  })
}

/** A caller that leaves an option undefined means the default. */
function withoutUndefined<T extends object>(overrides: T): T {
  return Object.fromEntries(Object.entries(overrides).filter(([, value]) => value !== undefined)) as T
}
