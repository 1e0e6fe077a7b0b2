/** The settings of the sinks (08 §3): a section `[sinks.<name>]` each, and what they come to. */
import { MeshError } from '@claudemesh/protocol'
import { findSettingsFault, parseSchedule, type SinkSettings } from '@claudemesh/sinks/settings'
import { bucketServerSettings, secretForm } from './bucket-settings.ts'
import { type Setting, type SettingValue, withoutPassword } from './setting-forms.ts'

export interface SinkConfig {
  readonly name: string
  readonly settings: SinkSettings
  /** Five fields of cron, in UTC. */
  readonly schedule: string
  /** Null: all. */
  readonly datasets: readonly string[] | null
  readonly jitterMsMax: number
}

const secret = secretForm('env:COLLECTOR_TOKEN')

/** Keys of a section. */
export const sinkSettings = {
  destination: {
    form: { type: 'text', pattern: /^[a-z0-9]+:\/\/[^\s\0]+$/, example: 'file:///srv/exports' },
    reload: true,
    default: null,
    describe: 'where rows go: https://…, file:///directory or s3://bucket/prefix',
    show: withoutPassword,
  },
  writer: {
    form: { type: 'choice', choices: ['ndjson', 'jsonl', 'parquet'] },
    reload: true,
    default: null,
    describe: 'form of the rows: ndjson over HTTP; else parquet, or jsonl under gzip',
  },
  schedule: {
    form: { type: 'text', pattern: /^\S+( +\S+){4}$/, example: '*/5 * * * *' },
    reload: true,
    default: '*/5 * * * *',
    describe: 'when it runs: five fields of cron, in UTC',
  },
  jitter_seconds: {
    form: { type: 'integer', minimum: 0, maximum: 3600 },
    reload: true,
    default: 10,
    describe: 'seconds by which a run may begin later, so that many hosts do not begin at once',
  },
  datasets: {
    form: { type: 'list', choices: ['messages', 'events'] },
    reload: true,
    default: ['messages', 'events'],
    describe: 'what of the history it exports',
  },
  compression: {
    form: { type: 'choice', choices: ['gzip', 'zstd'] },
    reload: true,
    default: 'gzip',
    describe: 'how bodies go over HTTP; zstd from Node 22.15 on',
  },
  token_ref: {
    form: secret,
    reload: true,
    default: null,
    describe: 'where the token is found that a receiver wants: env:NAME, or file: and an absolute path',
  },
  signature_key_ref: {
    form: secret,
    reload: true,
    default: null,
    describe: 'where the key is found that bodies are signed with, HMAC-SHA-256',
  },
  endpoint_url: { ...bucketServerSettings.endpoint_url, reload: true },
  region: { ...bucketServerSettings.region, reload: true },
  access_key_ref: {
    form: secret,
    reload: true,
    default: 'env:AWS_ACCESS_KEY_ID',
    describe: 'where the access key of the bucket is found',
  },
  secret_key_ref: {
    form: secret,
    reload: true,
    default: 'env:AWS_SECRET_ACCESS_KEY',
    describe: 'where the secret key of the bucket is found',
  },
  force_path_style: {
    form: { type: 'boolean' },
    reload: true,
    default: false,
    describe: 'the bucket is in the path of a URL and not in the name of the host, as MinIO and Ceph have it',
  },
} as const satisfies Record<string, Setting>

type SinkKey = keyof typeof sinkSettings

/** A setting that was chosen, and where. */
interface ChosenSetting {
  readonly name: string
  readonly value: SettingValue
  readonly origin: { readonly place: string | null }
}

/**
 * The sinks that some settings name, each checked whole.
 *
 * @param entries those of all sections, named `sinks.<name>.<key>`
 * @throws MeshError config_invalid, with the place of the section
 */
export function toSinkConfigs(entries: readonly ChosenSetting[]): readonly SinkConfig[] {
  const names = new Set(entries.map(({ name }) => name.split('.')[1] ?? ''))
  const configs = [...names].map((name) => {
    const own = entries.filter((entry) => entry.name.startsWith(`sinks.${name}.`))
    const values = new Map(own.map((entry) => [entry.name.split('.')[2] as SinkKey, entry.value]))
    const config = toSinkConfig(name, values)
    if (typeof config !== 'string') return config
    const place = own.find(({ origin }) => origin.place !== null)?.origin.place ?? ''
    throw new MeshError('config_invalid', {
      detail: `${place}: [sinks.${name}] ${config}`,
      data: { key: `sinks.${name}` },
    })
  })
  return Object.freeze(configs)
}

/** @returns the sentence that says why it cannot be one */
export function toSinkConfig(name: string, values: ReadonlyMap<SinkKey, SettingValue>): SinkConfig | string {
  const get = <T extends SettingValue>(key: SinkKey) => (values.get(key) ?? sinkSettings[key].default) as T
  const destination = get<string | null>('destination')
  if (destination === null) return 'names no destination'
  const schedule = get<string>('schedule')
  if (parseSchedule(schedule) === null) return `schedule "${schedule}" is no cron expression of five fields`
  const settings: SinkSettings = Object.freeze({
    destination,
    writer: get<SinkSettings['writer']>('writer'),
    compression: get<SinkSettings['compression']>('compression'),
    tokenRef: get<string | null>('token_ref'),
    signatureKeyRef: get<string | null>('signature_key_ref'),
    endpointUrl: get<string | null>('endpoint_url'),
    region: get<string>('region'),
    accessKeyRef: get<string>('access_key_ref'),
    secretKeyRef: get<string>('secret_key_ref'),
    forcePathStyle: get<boolean>('force_path_style'),
  })
  const fault = findSettingsFault(settings)
  if (fault !== null) return fault
  const jitterMsMax = get<number>('jitter_seconds') * 1000
  return Object.freeze({ name, settings, schedule, datasets: get<readonly string[]>('datasets'), jitterMsMax })
}
