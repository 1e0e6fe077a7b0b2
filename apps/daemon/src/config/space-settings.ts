/** The settings of spaces (07), and what they come to. */
import type { Setting, SettingValue } from './setting-forms.ts'

export interface SpaceConfig {
  /** An absolute path; null: below the daemon's directory. */
  readonly repository: string | null
  readonly objectFormat: 'sha1' | 'sha256'
  readonly leaseTermMs: number
}

export const spaceSettings = {
  spaces: {
    repository: {
      form: { type: 'text', pattern: /^\/[^\0]*$/, example: '/srv/decisions.git' },
      reload: false,
      default: null,
      describe: 'git repository of the decisions, made when it is not there; spaces/decisions.git when absent',
    },
    object_format: {
      form: { type: 'choice', choices: ['sha1', 'sha256'] },
      reload: false,
      default: 'sha1',
      describe: 'how a repository that is made names its objects; one that is there has its own way',
    },
    lease_term: {
      form: { type: 'integer', minimum: 1, maximum: 3600 },
      reload: false,
      default: 15,
      describe: 'seconds after which another process may append to a space when its holder is gone',
    },
  },
} as const satisfies Record<string, Record<string, Setting>>

/** The casts are covered: every value went through the form of its own row. */
export function toSpaceConfig(value: ReadonlyMap<string, SettingValue>): SpaceConfig {
  const get = <T extends SettingValue>(name: keyof typeof spaceSettings.spaces) => value.get(`spaces.${name}`) as T
  return Object.freeze({
    repository: get<string | null>('repository'),
    objectFormat: get<'sha1' | 'sha256'>('object_format'),
    leaseTermMs: get<number>('lease_term') * 1000,
  })
}
