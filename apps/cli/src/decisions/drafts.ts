/** Decisions as a command line says them. */
import type { NewDecision } from '@claudemesh/protocol/spaces'
import { invalidUsage } from '../flags.ts'
import { readText } from '../text-input.ts'

type Kind = NewDecision['kind']

/** What a command line says beside the words; null where it does not. */
export interface DecisionFlags {
  readonly jsonDraft: string | null
  readonly isJsonValue: boolean
  readonly isRemoved: boolean
  readonly refs: readonly string[]
  readonly relation: string | null
  readonly patch: string | null
  readonly strategy: string | null
  readonly reason: string | null
}

/** How each kind is said behind the name of the space, and how that becomes its payload. */
interface KindForm {
  readonly syntax: string
  /** How many words there are behind the kind. */
  readonly words: { readonly min: number; readonly max: number }
  readonly read: (words: readonly string[], flags: DecisionFlags) => Readonly<Record<string, unknown>> | Promise<object>
}

const exactly = (count: number) => ({ min: count, max: count })

const forms: Readonly<Record<Kind, KindForm>> = {
  state: {
    syntax: 'state <key> <value> | state <key> --remove',
    words: { min: 1, max: 2 },
    read: ([key, value], flags) => ({ key, value: readValue(value, flags) }),
  },
  note: {
    syntax: 'note <text> [--ref <text>]...',
    words: exactly(1),
    read: async ([text = ''], flags) => ({ text: await readWords(text), refs: [...flags.refs] }),
  },
  alias: {
    syntax: 'alias <name> <target>',
    words: exactly(2),
    read: ([name, target]) => ({ name, target }),
  },
  binding: {
    syntax: 'binding <a> <b> [--relation <text>]',
    words: exactly(2),
    read: ([a, b], flags) => ({ a, b, ...(flags.relation === null ? {} : { relation: flags.relation }) }),
  },
  unbinding: {
    syntax: 'unbinding <event id>',
    words: exactly(1),
    read: ([eventId]) => ({ event_id: eventId }),
  },
  overlay: {
    syntax: 'overlay <target> <text> | overlay <target> --patch <json>',
    words: { min: 1, max: 2 },
    read: readOverlay,
  },
  merge: {
    syntax: 'merge <into> <from>... --strategy <text>',
    words: { min: 2, max: 256 },
    read: ([into, ...from], flags) => ({ from, into, strategy: required('--strategy', flags.strategy) }),
  },
  fork: {
    syntax: 'fork <space> <seq> --reason <text>',
    words: exactly(2),
    read: ([space, seq = ''], flags) => ({
      from_space: space,
      from_seq: readSequence(seq),
      reason: required('--reason', flags.reason),
    }),
  },
}

/** The forms of all kinds, for help. */
export const kindSyntaxes: readonly string[] = Object.values(forms).map(({ syntax }) => syntax)

/**
 * The decisions that a command line names: one in words, or any as JSON.
 *
 * @param words what stands behind the name of the space
 * @throws MeshError `invalid_usage`
 */
export async function readDecisions(words: readonly string[], flags: DecisionFlags): Promise<readonly NewDecision[]> {
  const { jsonDraft: source } = flags
  const [kind, ...rest] = words
  if (source !== null) {
    if (kind === undefined) return parseDrafts(await readText(textOrFile(source), names))
    throw invalidUsage('a decision is said in words, or by --json-draft, and not both')
  }
  if (kind === undefined) throw invalidUsage('what is decided is missing', `Say one of:\n${listForms(kindSyntaxes)}`)
  const form = Object.hasOwn(forms, kind) ? forms[kind as Kind] : null
  if (form === null)
    throw invalidUsage(`there is no kind "${kind}" of decisions`, `Say one of:\n${listForms(kindSyntaxes)}`)
  const { min, max } = form.words
  if (rest.length < min || rest.length > max) {
    throw invalidUsage(
      `"${[kind, ...rest].join(' ')}" is not how a ${kind} is said`,
      `Say:\n${listForms([form.syntax])}`,
    )
  }
  // The daemon says what is wrong with a payload that is none.
  return [{ kind, payload: await form.read(rest, flags) } as NewDecision]
}

const names = { what: 'the draft', fileOption: '--json-draft' }

function listForms(syntaxes: readonly string[]): string {
  return syntaxes.map((syntax) => `  claudemesh decision append <space> ${syntax}`).join('\n')
}

function textOrFile(source: string) {
  return source === '-' ? { text: source, file: null } : { text: null, file: source }
}

/** One draft, an array of them, or one a line. */
function parseDrafts(text: string): readonly NewDecision[] {
  const whole = parseJson(text)
  if (whole !== undefined) return (Array.isArray(whole) ? whole : [whole]) as readonly NewDecision[]
  const lines = text.split('\n').filter((line) => line.trim() !== '')
  return lines.map((line, index) => {
    const draft = parseJson(line)
    if (draft === undefined) throw invalidUsage(`line ${index + 1} of --json-draft is not JSON`)
    return draft as NewDecision
  })
}

/** Undefined: it is none. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // The caller says where.
    return undefined
  }
}

function readValue(value: string | undefined, flags: DecisionFlags): unknown {
  const { isRemoved, isJsonValue } = flags
  if (isRemoved && value !== undefined) throw invalidUsage('a key that is removed has no value')
  if (isRemoved) return null
  if (value === undefined) throw invalidUsage('the value is missing', 'Give it, or --remove to have the key removed.')
  if (!isJsonValue) return value
  const parsed = parseJson(value)
  if (parsed === undefined) throw invalidUsage(`--json-value: "${value}" is not JSON`)
  return parsed
}

function readOverlay([target, text]: readonly string[], { patch }: DecisionFlags): Readonly<Record<string, unknown>> {
  if ((patch === null) === (text === undefined)) throw invalidUsage('an overlay is a text, or a --patch, and not both')
  if (patch === null) return { target, text }
  const parsed = parseJson(patch)
  if (parsed === undefined) throw invalidUsage(`--patch: "${patch}" is not JSON`)
  return { target, patch: parsed }
}

async function readWords(text: string): Promise<string> {
  return text === '-' ? (await readText({ text, file: null }, names)).replace(/\n$/, '') : text
}

function readSequence(text: string): number {
  if (/^[0-9]{1,15}$/.test(text)) return Number(text)
  throw invalidUsage(`"${text}" is no number of an event`)
}

function required(option: string, text: string | null): string {
  if (text !== null) return text
  throw invalidUsage(`${option} is missing`)
}
