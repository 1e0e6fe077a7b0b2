/** What may come next on a command line that is being typed. */
import {
  type ArgumentDefinition,
  type CommandDefinition,
  type Commands,
  globalOptions,
  type OptionDefinition,
} from '../command.ts'

export interface Candidate {
  readonly text: string
  readonly describe: string
}

/** Where names come from; each may know none. */
export interface Names {
  /** Whatever a message can be sent to. */
  readonly destinations: () => Promise<readonly Candidate[]>
  readonly members: () => Promise<readonly Candidate[]>
  readonly topics: () => Promise<readonly Candidate[]>
  readonly queues: () => Promise<readonly Candidate[]>
  readonly meshes: () => Promise<readonly Candidate[]>
}

export interface Known {
  readonly names: Names
  readonly commands: Commands
}

/** What an argument or an option takes, by what its syntax calls it. */
const kinds: Readonly<Record<string, keyof Names>> = {
  destination: 'destinations',
  member: 'members',
  topic: 'topics',
  queue: 'queues',
  slug: 'meshes',
}

/**
 * @param words what was typed after `claudemesh`; the last one is being typed, and empty when it has not been begun
 */
export async function findCandidates(words: readonly string[], known: Known): Promise<readonly Candidate[]> {
  const before = words.slice(0, -1)
  const current = words.at(-1) ?? ''
  // What follows is handed to another program.
  if (before.includes('--')) return []
  const all = await everythingAt(before, current, known)
  return all.filter(({ text }) => text.startsWith(current))
}

async function everythingAt(
  before: readonly string[],
  current: string,
  { names, commands }: Known,
): Promise<readonly Candidate[]> {
  const resolution = commands.resolve(before)
  if (resolution.kind === 'incomplete') {
    const option = valueOption(globalOptions, before, current)
    if (option !== null) return await valuesOf(option, current, names)
    return current.startsWith('-') ? globalOptions.map(optionCandidate) : await wordsAfter(resolution.group, commands)
  }
  if (resolution.kind !== 'command') return []
  const { entry, rest } = resolution
  const definition = await entry.load()
  const options = [...(definition.options ?? []), ...globalOptions]
  const option = valueOption(options, before, current)
  if (option !== null) return await valuesOf(option, current, names)
  if (current.startsWith('-')) return options.map(optionCandidate)
  const place = countArguments(rest, options)
  return [
    ...(place === 0 ? await wordsAfter(entry.words, commands) : []),
    ...(await argumentsAt(definition, place, names)),
  ]
}

/** The words that go on from a group of commands, with what those do that are whole by then. */
async function wordsAfter(group: readonly string[], commands: Commands): Promise<readonly Candidate[]> {
  const entries = commands.below(group)
  return await Promise.all(
    commands.nextWords(group).map(async (text) => {
      const whole = entries.find(({ words }) => words.length === group.length + 1 && words.at(-1) === text)
      return { text, describe: whole === undefined ? '' : (await whole.load()).summary }
    }),
  )
}

/** The option whose value is being typed, as `--to x` or as `--to=x`. */
function valueOption(
  options: readonly OptionDefinition[],
  before: readonly string[],
  current: string,
): OptionDefinition | null {
  const name = /^(--[\w-]+)=/.exec(current)?.[1] ?? before.at(-1) ?? ''
  return options.find((option) => takesValue(option) && flagsOf(option).includes(name)) ?? null
}

async function valuesOf(option: OptionDefinition, current: string, names: Names): Promise<readonly Candidate[]> {
  const prefix = /^--[\w-]+=/.exec(current)?.[0] ?? ''
  const found = await namesOf(option.syntax, names)
  return found.map(({ text, describe }) => ({ text: prefix + text, describe }))
}

async function argumentsAt(
  { arguments: places = [] }: CommandDefinition,
  place: number,
  names: Names,
): Promise<readonly Candidate[]> {
  const last = places.at(-1)
  const repeated: ArgumentDefinition | undefined = last?.syntax.includes('...') === true ? last : undefined
  const argument = places[place] ?? repeated
  return argument === undefined ? [] : await namesOf(argument.syntax, names)
}

async function namesOf(syntax: string, names: Names): Promise<readonly Candidate[]> {
  const kind = kinds[/[<[]([\w-]+)/.exec(syntax)?.[1] ?? '']
  return kind === undefined ? [] : await names[kind]()
}

/** Of what follows the words of a command: what is neither an option nor the value of one. */
function countArguments(rest: readonly string[], options: readonly OptionDefinition[]): number {
  let count = 0
  for (let index = 0; index < rest.length; index += 1) {
    const item = rest[index] ?? ''
    if (!item.startsWith('-')) count += 1
    else if (options.some((option) => takesValue(option) && flagsOf(option).includes(item))) index += 1
  }
  return count
}

function optionCandidate(option: OptionDefinition): Candidate {
  return { text: flagsOf(option).at(-1) ?? '', describe: option.describe }
}

function takesValue({ syntax }: OptionDefinition): boolean {
  return /[<[]/.test(syntax)
}

/** `-o` and `--out` of `-o, --out <path>`. */
function flagsOf({ syntax }: OptionDefinition): readonly string[] {
  return syntax.match(/--?[\w-]+/g)?.filter((flag) => flag.startsWith('-')) ?? []
}
