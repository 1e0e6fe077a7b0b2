/** The settings of the store of artifacts (06 §16), and what they come to. */
import type { Limits, S3Config } from '@claudemesh/artifacts'
import { bucketServerSettings, secretForm } from './bucket-settings.ts'
import { type Setting, type SettingValue, withoutPassword } from './setting-forms.ts'

export interface ArtifactConfig {
  /** Null: the database in the daemon's directory. */
  readonly databaseUrl: string | null
  /** An absolute path; null: below the daemon's directory. */
  readonly storageRoot: string | null
  /** Seconds by class, for packages that are made from now on, null for ever; classes that nobody set are left out. */
  readonly retention: Readonly<Record<string, number | null>>
  readonly gcGraceMs: number
  /** Null: nothing is read again by itself. */
  readonly scrubBytesPerSecond: number | null
  readonly autoFetchBytesMax: number
  readonly limits: Partial<Limits>
  /** Where new bytes go. */
  readonly backend: 'local' | 's3'
  /** Null: there is no bucket. */
  readonly s3: S3Config | null
}

const gibibyte = 1024 ** 3
const centuryInSeconds = 3_155_760_000

const classes = ['transient', 'raw-evidence', 'summary-evidence', 'release-evidence', 'permanent-record'] as const

function durationOf(name: string): Setting {
  return {
    form: { type: 'seconds', minimum: 1, maximum: centuryInSeconds },
    reload: false,
    default: null,
    describe: `seconds, or "never", until packages of class ${name} that are made from now on expire; as the class has it when absent`,
  }
}

interface Bound {
  readonly default: number
  readonly maximum: number
  readonly describe: string
}

/** A page of a listing has its bound in the route. */
const bounds: Readonly<Record<Exclude<keyof Limits, 'pageRowsMax'>, Bound>> = {
  fileBytesMax: { default: 64 * gibibyte, maximum: Number.MAX_SAFE_INTEGER, describe: 'bytes of one file' },
  filesMax: { default: 50_000, maximum: 1_000_000, describe: 'files of one package' },
  metadataBytesMax: { default: 64 * 1024, maximum: 512 * 1024, describe: 'bytes of the metadata of a package' },
  metadataNestingMax: { default: 16, maximum: 24, describe: 'levels of the metadata of a package' },
  annotationsMax: { default: 64, maximum: 1024, describe: 'annotations of a package or a file' },
  annotationKeyBytesMax: { default: 128, maximum: 1024, describe: 'bytes of the key of an annotation' },
  annotationValueBytesMax: { default: 4096, maximum: 65_536, describe: 'bytes of the value of an annotation' },
  nameLengthMax: { default: 255, maximum: 1024, describe: 'characters of a name, a producer, a subject' },
  reasonLengthMax: { default: 1024, maximum: 4096, describe: 'characters of a reason' },
  ingestsMax: { default: 8, maximum: 256, describe: 'files whose bytes are taken in at once' },
  ingestsWaitingMax: { default: 64, maximum: 4096, describe: 'files that wait for their turn to be taken in' },
  uploadsMax: { default: 64, maximum: 4096, describe: 'uploads in pieces that are open' },
  tailsMax: { default: 32, maximum: 1024, describe: 'readers that follow the log of events' },
}

const mebibyte = 1024 ** 2
const secret = secretForm('env:ARTIFACTS_KEY')

const bucketSettings = {
  ...bucketServerSettings,
  bucket: {
    form: { type: 'text', pattern: /^[a-z0-9][a-z0-9.-]{2,62}$/, example: 'artifacts' },
    reload: false,
    default: null,
    describe: 'bucket of the bytes of artifacts; none when absent',
  },
  key_prefix: {
    form: { type: 'text', pattern: /^(?!\/)[^\0]{0,512}(?<!\/)$/, example: 'team/artifacts' },
    reload: false,
    default: '',
    describe: 'what the names of all objects in the bucket begin with, without a slash at its ends',
  },
  access_key_ref: {
    form: secret,
    reload: false,
    default: 'env:AWS_ACCESS_KEY_ID',
    describe: 'where the access key is found: env:NAME, or file: and an absolute path',
  },
  secret_key_ref: {
    form: secret,
    reload: false,
    default: 'env:AWS_SECRET_ACCESS_KEY',
    describe: 'where the secret key is found: env:NAME, or file: and an absolute path',
  },
  storage_class: {
    form: { type: 'text', pattern: /^[A-Z_]{1,64}$/, example: 'STANDARD_IA' },
    reload: false,
    default: null,
    describe: 'storage class of new objects; as the bucket has it when absent',
  },
  sse: {
    form: { type: 'choice', choices: ['AES256', 'aws:kms'] },
    reload: false,
    default: null,
    describe: 'encryption of new objects by the server; as the bucket has it when absent',
  },
  force_path_style: {
    form: { type: 'boolean' },
    reload: false,
    default: false,
    describe: 'the bucket is in the path of a URL and not in the name of the host, as MinIO and Ceph have it',
  },
  multipart_threshold_bytes: {
    form: { type: 'integer', minimum: 8 * mebibyte, maximum: 64 * mebibyte },
    reload: false,
    default: 16 * mebibyte,
    describe: 'bytes above which an object goes in parts',
  },
  multipart_chunk_bytes: {
    form: { type: 'integer', minimum: 8 * mebibyte, maximum: 64 * mebibyte },
    reload: false,
    default: 8 * mebibyte,
    describe: 'bytes of a part, at most the threshold',
  },
} as const satisfies Record<string, Setting>

const limitSettings = Object.fromEntries(
  Object.entries(bounds).map(([key, bound]): [string, Setting] => [
    snakeCase(key),
    {
      form: { type: 'integer', minimum: 1, maximum: bound.maximum },
      reload: false,
      default: bound.default,
      describe: `${bound.describe}, at most`,
    },
  ]),
)

export const artifactSettings = {
  artifacts: {
    database_url: {
      form: { type: 'text', pattern: /^(sqlite:\/|postgres(ql)?:\/\/)\S+$/, example: 'postgres://user@host/database' },
      reload: false,
      default: null,
      describe: 'database of the artifacts: sqlite:/absolute/path or postgres://…; artifacts/registry.db when absent',
      show: withoutPassword,
    },
    storage_root: {
      form: { type: 'text', pattern: /^\/[^\0]*$/, example: '/srv/artifacts' },
      reload: false,
      default: null,
      describe: 'directory of the bytes of artifacts, of this user alone; artifacts/objects when absent',
    },
    backend: {
      form: { type: 'choice', choices: ['local', 's3'] },
      reload: false,
      default: 'local',
      describe: 'where new bytes go: local, the directory; or s3, the bucket of [artifacts.s3]',
    },
    gc_grace: {
      form: { type: 'integer', minimum: 60, maximum: centuryInSeconds },
      reload: false,
      default: 86_400,
      describe: 'seconds that bytes are kept to which nothing refers',
    },
    scrub_rate: {
      form: { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER },
      reload: true,
      default: 256 * 1024,
      describe: 'bytes a second of what is stored that are read again and checked; 0 for none',
    },
    auto_fetch_max_bytes: {
      form: { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER },
      reload: true,
      default: 16 * 1024 * 1024,
      describe: 'bytes up to which a file that a peer shares is fetched without being asked for',
    },
  },
  'artifacts.retention': Object.fromEntries(classes.map((name) => [name, durationOf(name)])),
  'artifacts.limits': limitSettings,
  'artifacts.s3': bucketSettings,
} as const satisfies Record<string, Record<string, Setting>>

/** The casts are covered: every value went through the form of its own row. */
export function toArtifactConfig(value: ReadonlyMap<string, SettingValue>): ArtifactConfig {
  const get = <T extends SettingValue>(name: string) => value.get(`artifacts.${name}`) as T
  const durations = classes.flatMap((name): [string, number | null][] => {
    const duration = get<number | 'never' | null>(`retention.${name}`)
    return duration === null ? [] : [[name, duration === 'never' ? null : duration]]
  })
  const limits = Object.keys(bounds).map((key) => [key, get<number>(`limits.${snakeCase(key)}`)])
  return Object.freeze({
    databaseUrl: get<string | null>('database_url'),
    storageRoot: get<string | null>('storage_root'),
    retention: Object.freeze(Object.fromEntries(durations)),
    gcGraceMs: get<number>('gc_grace') * 1000,
    scrubBytesPerSecond: get<number>('scrub_rate') || null,
    autoFetchBytesMax: get<number>('auto_fetch_max_bytes'),
    limits: Object.freeze(Object.fromEntries(limits) as Partial<Limits>),
    backend: get<'local' | 's3'>('backend'),
    s3: toBucketConfig((name) => get(`s3.${name}`)),
  })
}

function toBucketConfig(get: <T extends SettingValue>(name: keyof typeof bucketSettings) => T): S3Config | null {
  const bucket = get<string | null>('bucket')
  if (bucket === null) return null
  return Object.freeze({
    endpointUrl: get<string | null>('endpoint_url'),
    region: get<string>('region'),
    bucket,
    keyPrefix: get<string>('key_prefix'),
    accessKeyRef: get<string>('access_key_ref'),
    secretKeyRef: get<string>('secret_key_ref'),
    storageClass: get<string | null>('storage_class'),
    sse: get<'AES256' | 'aws:kms' | null>('sse'),
    forcePathStyle: get<boolean>('force_path_style'),
    multipartThresholdBytes: get<number>('multipart_threshold_bytes'),
    multipartChunkBytes: get<number>('multipart_chunk_bytes'),
  })
}

function snakeCase(key: string): string {
  return key.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}
