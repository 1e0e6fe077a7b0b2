/** What a setting is, and how its value is read from a file, the environment and flags. */

/** What this process runs in; some defaults depend on it (03 §3). */
export type EnvironmentKind = 'host' | 'container' | 'ci'

export type SettingValue = string | number | boolean | readonly string[] | null

/** The form of a value; `seconds` may also be `never`. Texts from the environment and from flags are read by the same forms. */
export type SettingForm =
  | { readonly type: 'integer'; readonly minimum: number; readonly maximum: number }
  | { readonly type: 'seconds'; readonly minimum: number; readonly maximum: number }
  | { readonly type: 'boolean' }
  | { readonly type: 'choice'; readonly choices: readonly string[] }
  | {
      readonly type: 'list'
      readonly choices?: readonly string[]
      readonly pattern?: RegExp
      readonly example?: string
    }
  | { readonly type: 'text'; readonly pattern: RegExp; readonly example: string }

export interface Setting {
  readonly form: SettingForm
  readonly reload: boolean
  readonly default: SettingValue
  readonly describe: string
  /** The value as it may be shown, where it can hold a secret. */
  readonly show?: (value: SettingValue) => SettingValue
  /** Says why a value is less safe than the default, or null when it is not. */
  readonly warn?: (value: SettingValue, environment: EnvironmentKind) => string | null
}

/** A value that was read, or the sentence that says why it cannot be one. */
export type ValueReading =
  | { readonly ok: true; readonly value: SettingValue }
  | { readonly ok: false; readonly fault: string }

/** Reads a value as TOML gives it: already typed, nothing is converted. */
export function readTypedValue(form: SettingForm, value: unknown): ValueReading {
  switch (form.type) {
    case 'integer':
      return Number.isSafeInteger(value) && (value as number) >= form.minimum && (value as number) <= form.maximum
        ? { ok: true, value: value as number }
        : fault(`must be an integer from ${form.minimum} to ${form.maximum}`)
    case 'seconds':
      return value === 'never' ? { ok: true, value } : readSeconds(form, value)
    case 'boolean':
      return typeof value === 'boolean' ? { ok: true, value } : fault('must be true or false')
    case 'choice':
      return typeof value === 'string' && form.choices.includes(value)
        ? { ok: true, value }
        : fault(`must be one of ${form.choices.join(', ')}`)
    case 'text':
      return typeof value === 'string' && form.pattern.test(value)
        ? { ok: true, value }
        : fault(`must be a text like ${form.example}`)
    case 'list':
      return readList(form, value)
    default:
      return form satisfies never
  }
}

function readSeconds(form: Extract<SettingForm, { type: 'seconds' }>, value: unknown): ValueReading {
  const { minimum, maximum } = form
  const reading = readTypedValue({ type: 'integer', minimum, maximum }, value)
  return reading.ok ? reading : fault(`must be a number of seconds from ${minimum} to ${maximum}, or "never"`)
}

function readList(form: Extract<SettingForm, { type: 'list' }>, value: unknown): ValueReading {
  const allowed = form.choices === undefined ? `texts like ${form.example}` : `some of ${form.choices.join(', ')}`
  const fits = (item: unknown) =>
    typeof item === 'string' && (form.choices?.includes(item) ?? true) && (form.pattern?.test(item) ?? true)
  return Array.isArray(value) && value.every(fits)
    ? { ok: true, value: Object.freeze([...(value as string[])]) }
    : fault(`must be a list of ${allowed}`)
}

/** Reads a value from a text of the environment or of a flag. A list is separated by commas. */
export function readTextValue(form: SettingForm, text: string): ValueReading {
  switch (form.type) {
    case 'integer':
      return readTypedValue(form, /^-?\d{1,16}$/.test(text) ? Number(text) : text)
    case 'seconds':
      return readTypedValue(form, /^\d{1,16}$/.test(text) ? Number(text) : text)
    case 'boolean':
      return readTypedValue(form, text === 'true' ? true : text === 'false' ? false : text)
    case 'list':
      return readTypedValue(form, text === '' ? [] : text.split(',').map((item) => item.trim()))
    case 'choice':
    case 'text':
      return readTypedValue(form, text)
    default:
      return form satisfies never
  }
}

/** A URL as it may be printed. */
export function withoutPassword(value: SettingValue): SettingValue {
  if (typeof value !== 'string' || /^(sqlite|file):/.test(value)) return value
  if (!URL.canParse(value)) return '***'
  const url = new URL(value)
  if (url.password !== '') url.password = '***'
  // As some programs write it, beside options that are nobody's secret.
  if (url.searchParams.has('password')) url.searchParams.set('password', '***')
  return url.href
}

function fault(sentence: string): ValueReading {
  return { ok: false, fault: sentence }
}

/** Where a value came from. `place` is the file and line, the variable, or the flag. */
export interface ConfigOrigin {
  readonly source: 'default' | 'file' | 'environment' | 'flag'
  readonly place: string | null
}

/** One line of `daemon config show --effective`. */
export interface ConfigEntry {
  readonly name: string
  readonly value: SettingValue
  readonly origin: ConfigOrigin
  readonly describe: string
  readonly reload: boolean
}
