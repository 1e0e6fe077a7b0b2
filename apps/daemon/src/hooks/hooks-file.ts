/** Reads hooks.toml, a section per hook, as strictly as config.toml. A hook without a section does not run. */
import { statSync } from 'node:fs'
import { MeshError } from '@claudemesh/protocol'
import { readTypedValue, type SettingForm, type SettingValue } from '../config/setting-forms.ts'
import { asSection, lineOf, readTomlFile, refuse, type TomlFile } from '../config/strict-toml.ts'
import { capabilityPattern } from './capabilities.ts'
import { findOwnerFault } from './executable.ts'
import { hooksAtOnceMax, timeoutSecondsDefault, timeoutSecondsMax } from './limits.ts'
import { findPathFault } from './redaction.ts'
import { type SandboxKind, sandboxKinds } from './sandbox.ts'
import { hookNames, isHookName, preSendName } from './triggers.ts'

export interface HookConfig {
  readonly name: string
  readonly timeoutMs: number
  /** Whether what it writes is sent as a reply. */
  readonly allowReply: boolean
  readonly capabilities: readonly string[]
  /** JSON paths of what it does not see. */
  readonly redact: readonly string[]
  readonly sandbox: SandboxKind
  /** Whether it waits rather than run without its sandbox. */
  readonly sandboxRequired: boolean
  /** Runs of it at once. With one, events come to it in order. */
  readonly parallel: number
}

interface HookKey {
  readonly form: SettingForm
  readonly default: SettingValue
  /** Not for `pre-send`, which answers with its exit code alone. */
  readonly eventsOnly?: true
}

const hookKeys = {
  timeout_seconds: {
    form: { type: 'integer', minimum: 1, maximum: timeoutSecondsMax },
    default: timeoutSecondsDefault,
  },
  allow_reply: { form: { type: 'boolean' }, default: false, eventsOnly: true },
  capabilities: {
    form: { type: 'list', pattern: capabilityPattern, example: 'reply:event, dm:send:<sender>, topic:builds:post' },
    default: [],
    eventsOnly: true,
  },
  redact: { form: { type: 'list', pattern: /^\$./, example: '$.data.meta.password' }, default: [] },
  sandbox: { form: { type: 'choice', choices: sandboxKinds }, default: 'none' },
  sandbox_required: { form: { type: 'boolean' }, default: false },
  parallel: { form: { type: 'integer', minimum: 1, maximum: hooksAtOnceMax }, default: 1, eventsOnly: true },
} as const satisfies Record<string, HookKey>

type KeyName = keyof typeof hookKeys

/**
 * The hooks that are configured; none when there is no such file.
 *
 * @throws MeshError config_invalid | unsafe_permissions
 */
export async function readHooksFile(path: string): Promise<readonly HookConfig[]> {
  const file = readTomlFile(path)
  if (file === null) return []
  const fault = findOwnerFault(path, statSync(path))
  if (fault !== null) throw new MeshError('unsafe_permissions', { detail: fault })
  return Promise.all(Object.entries(file.document).map(([name, keys]) => readHook(file, name, keys)))
}

async function readHook(file: TomlFile, name: string, keys: unknown): Promise<HookConfig> {
  if (!isHookName(name)) {
    const sentence = `there is no hook ${name}; hooks are ${hookNames.join(', ')}`
    refuse(file, { line: lineOf(file.text, name, null), key: name, sentence, known: hookNames })
  }
  const values = new Map<string, SettingValue>()
  for (const [key, value] of Object.entries(asSection(file, name, keys))) {
    values.set(key, readKey(file, { section: name, key, value }))
  }
  const get = <T extends SettingValue>(key: KeyName) => (values.get(key) ?? hookKeys[key].default) as T
  const redact = get<readonly string[]>('redact')
  await checkPaths(file, { section: name, paths: redact })
  return {
    name,
    timeoutMs: get<number>('timeout_seconds') * 1000,
    allowReply: get<boolean>('allow_reply'),
    capabilities: get<readonly string[]>('capabilities'),
    redact,
    sandbox: get<SandboxKind>('sandbox'),
    sandboxRequired: get<boolean>('sandbox_required'),
    parallel: get<number>('parallel'),
  }
}

function readKey(
  file: TomlFile,
  { section, key, value }: { readonly section: string; readonly key: string; readonly value: unknown },
): SettingValue {
  const line = lineOf(file.text, section, key)
  const known: HookKey | undefined = Object.hasOwn(hookKeys, key) ? hookKeys[key as KeyName] : undefined
  if (known === undefined) {
    refuse(file, { line, key, sentence: `a hook has no ${key}`, known: Object.keys(hookKeys) })
  }
  if (known.eventsOnly === true && section === preSendName) {
    refuse(file, { line, key, sentence: `${preSendName} takes no ${key}: it answers with its exit code` })
  }
  const reading = readTypedValue(known.form, value)
  if (!reading.ok) refuse(file, { line, key: `${section}.${key}`, sentence: `${section}.${key} ${reading.fault}` })
  return reading.value
}

async function checkPaths(
  file: TomlFile,
  { section, paths }: { readonly section: string; readonly paths: readonly string[] },
): Promise<void> {
  for (const path of paths) {
    const fault = await findPathFault(path)
    if (fault === null) continue
    const sentence = `${section}.redact: ${path} is no JSON path: ${fault}`
    refuse(file, { line: lineOf(file.text, section, 'redact'), key: `${section}.redact`, sentence })
  }
}
