/** The settings of the record of everything sent and received (08 §1), and what they come to. */
import type { Retention } from '@claudemesh/history'
import type { Setting, SettingValue } from './setting-forms.ts'

export interface HistoryConfig {
  readonly messages: Retention
  readonly events: Retention
}

const gibibyte = 1024 ** 3
const dayMs = 24 * 3_600_000

function days(value: number, describe: string): Setting {
  return { form: { type: 'integer', minimum: 1, maximum: 36_500 }, reload: true, default: value, describe }
}

function bytes(value: number, describe: string): Setting {
  const form = { type: 'integer', minimum: 1024 * 1024, maximum: Number.MAX_SAFE_INTEGER } as const
  return { form, reload: true, default: value, describe }
}

export const historySettings = {
  history: {
    retention_days: days(90, 'days that the history keeps what was sent and received'),
    events_retention_days: days(30, 'days that the history keeps what happened to the daemon'),
    bytes_max: bytes(
      2 * gibibyte,
      'bytes of the history of messages, and of that of events, beyond which the oldest go',
    ),
    wait_for_sink_ack: {
      form: { type: 'boolean' },
      reload: true,
      default: true,
      describe: 'keep rows that a sink has not exported, as far as the caps let it',
      warn: (value) => (value === false ? 'rows can be deleted before a sink has exported them' : null),
    },
    cap_days: days(365, 'days after which rows go that a sink still waits for'),
    cap_bytes: bytes(8 * gibibyte, 'bytes beyond which rows go that a sink still waits for'),
  },
} as const satisfies Record<string, Record<string, Setting>>

/** The casts are covered: every value went through the form of its own row. */
export function toHistoryConfig(value: ReadonlyMap<string, SettingValue>): HistoryConfig {
  const get = <T extends SettingValue>(name: keyof typeof historySettings.history) => value.get(`history.${name}`) as T
  const bytesMax = get<number>('bytes_max')
  const retention = (ageDays: number): Retention => ({
    ageMsMax: ageDays * dayMs,
    bytesMax,
    waitForSinkAck: get<boolean>('wait_for_sink_ack'),
    // What waits for a sink is never kept for less than what does not.
    capAgeMs: Math.max(ageDays, get<number>('cap_days')) * dayMs,
    capBytes: Math.max(bytesMax, get<number>('cap_bytes')),
  })
  return Object.freeze({
    messages: retention(get('retention_days')),
    events: retention(get('events_retention_days')),
  })
}
