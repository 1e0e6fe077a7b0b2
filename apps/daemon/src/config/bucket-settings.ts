/** What the settings of everything that is kept in a bucket have in common. */
import type { Setting, SettingForm } from './setting-forms.ts'

/** A secret is named by where it is found, so that no file of settings and no answer holds one. */
export function secretForm(example: string): SettingForm {
  return { type: 'text', pattern: /^(env:\w+|file:\/[^\0]*)$/, example }
}

/** Where the bucket is. */
export const bucketServerSettings = {
  endpoint_url: {
    form: { type: 'text', pattern: /^https?:\/\/\S+$/, example: 'https://objects.example.org' },
    reload: false,
    default: null,
    describe: 'server of the bucket; that of AWS for the region when absent',
  },
  region: {
    form: { type: 'text', pattern: /^[a-z0-9-]{1,64}$/, example: 'eu-central-1' },
    reload: false,
    default: 'us-east-1',
    describe: 'region of the bucket',
  },
} as const satisfies Record<string, Setting>
