/**
 * Every setting of the daemon: one row each, from which reading the file, the environment and the flags, and the
 * list of `daemon config show` follow. `reload`: taken over on SIGHUP; the others need a restart.
 */
import { featureBits, featuresRequiredByDefault } from '@claudemesh/protocol'
import { logLevels } from '../log.ts'
import { artifactSettings } from './artifact-settings.ts'
import { fleetSettings } from './fleet-settings.ts'
import { historySettings } from './history-settings.ts'
import type { Setting } from './setting-forms.ts'
import { sinkSettings } from './sink-settings.ts'
import { spaceSettings } from './space-settings.ts'

const originPattern = /^https?:\/\/[^/\s?#]+$/
const brokerUrlPattern = /^wss?:\/\/[^\s?#]+$/
const centuryInHours = 876_000

const settings = {
  broker: {
    url: {
      form: { type: 'text', pattern: brokerUrlPattern, example: 'wss://broker.example.org/v1/ws' },
      reload: false,
      default: null,
      describe: 'address of the broker; the one in the mesh file when absent',
    },
  },
  ipc: {
    socket_inflight_max: {
      form: { type: 'integer', minimum: 1, maximum: 65_536 },
      reload: true,
      default: 4096,
      describe: 'requests worked on at once over the Unix socket',
    },
    tcp: {
      form: { type: 'choice', choices: ['auto', 'on', 'off'] },
      reload: false,
      default: 'auto',
      describe: 'listen on 127.0.0.1 as well; auto: not in containers and CI',
      warn: (value, environment) =>
        value === 'on' && environment !== 'host'
          ? `the TCP listener is on in a ${environment === 'ci' ? 'CI job' : 'container'}, where it is off by default`
          : null,
    },
    http_port: {
      form: { type: 'integer', minimum: 0, maximum: 65_535 },
      reload: false,
      default: 0,
      describe: 'port on 127.0.0.1; 0 lets the system choose',
    },
    tcp_inflight_max: {
      form: { type: 'integer', minimum: 1, maximum: 65_536 },
      reload: true,
      default: 64,
      describe: 'requests worked on at once over TCP',
    },
    allowed_origins: {
      form: { type: 'list', pattern: originPattern, example: 'http://localhost:3000' },
      reload: true,
      default: [],
      describe: 'web origins that may send requests over TCP, when they hold the token',
      warn: (value) =>
        Array.isArray(value) && value.length > 0 ? 'web pages of the listed origins may send requests' : null,
    },
    public_health_check: {
      form: { type: 'boolean' },
      reload: true,
      default: false,
      describe: 'answer GET /v1/health over TCP without the token',
      warn: (value) => (value === true ? 'every process of this machine may read the health of the daemon' : null),
    },
  },
  outbox: {
    max_age_hours_default: {
      form: { type: 'integer', minimum: 1, maximum: centuryInHours },
      reload: true,
      default: 168,
      describe: 'how long a message may wait for a broker that never forgets ids; at most 720',
    },
    max_age_hours_override: {
      form: { type: 'integer', minimum: 1, maximum: centuryInHours },
      reload: true,
      default: null,
      describe: 'how long a message may wait, instead of what follows from the broker',
    },
  },
  inbox: {
    retention_days: {
      form: { type: 'integer', minimum: 1, maximum: 36_500 },
      reload: true,
      default: 30,
      describe: 'days that received messages are kept',
    },
  },
  disk: {
    budget_bytes: {
      form: { type: 'integer', minimum: 1024 * 1024, maximum: Number.MAX_SAFE_INTEGER },
      reload: true,
      default: null,
      describe: 'bytes the daemon may use; the size of the file system when absent',
    },
  },
  features: {
    require: {
      form: { type: 'list', choices: featureBits },
      reload: false,
      default: featuresRequiredByDefault,
      describe: 'features without which the daemon does not work with a broker',
      warn: (value) =>
        Array.isArray(value) && !value.includes('client_message_id_dedupe')
          ? 'without client_message_id_dedupe a repeated send can arrive twice'
          : null,
    },
  },
  clone: {
    policy: {
      form: { type: 'choice', choices: ['refuse', 'warn', 'allow'] },
      reload: false,
      default: 'refuse',
      describe: 'what to do at the start when this home was accepted on another host',
      warn: (value) => (value === 'refuse' ? null : 'a copy of this home on another host is not refused'),
    },
  },
  hooks: {
    enabled: {
      form: { type: 'choice', choices: ['auto', 'on', 'off'] },
      reload: true,
      default: 'auto',
      describe: 'run the hooks that hooks/hooks.toml names; auto: not in CI',
      warn: (value, environment) =>
        value === 'on' && environment === 'ci' ? 'hooks run in a CI job, where they are off by default' : null,
    },
  },
  ...artifactSettings,
  ...spaceSettings,
  ...historySettings,
  ...fleetSettings,
  log: {
    level: {
      form: { type: 'choice', choices: logLevels },
      reload: true,
      default: 'info',
      describe: 'the least important lines that are written',
    },
  },
} as const satisfies Record<string, Record<string, Setting>>

/** All settings as `section.key`, in the order of the table. */
export const settingsByName: ReadonlyMap<string, Setting> = new Map<string, Setting>(
  Object.entries(settings).flatMap(([section, keys]) =>
    Object.entries<Setting>(keys).map(([key, setting]): [string, Setting] => [`${section}.${key}`, setting]),
  ),
)

/** The setting of a name; every sink has those of `sinks.<name>`. */
export function settingOf(name: string): Setting | undefined {
  const [section = '', sink, key = ''] = name.split('.')
  const ofSinks: Readonly<Record<string, Setting>> = sinkSettings
  return settingsByName.get(name) ?? (section === 'sinks' && sink !== undefined ? ofSinks[key] : undefined)
}

export const sectionNames: readonly string[] = Object.keys(settings)
