/**
 * From a command line to a command: which one, with which options, and what becomes of its errors.
 *
 * 1. Only the file of the command that was called is loaded.
 * 2. A fault of the command line is a MeshError like any other and exits with 64.
 */
import { type Command, Command as CommanderCommand, CommanderError, Option } from 'commander'
import { type CommandDefinition, type CommandEntry, type Commands, globalOptions, type Resolution } from './command.ts'
import { commandsOf, nextWords, resolveCommand } from './command-tree.ts'
import { type Environment, readEnvironment } from './environment.ts'
import { type ExitCode, exitCodes } from './exit-codes.ts'
import { Flags, invalidUsage } from './flags.ts'
import { type OutputStream, Terminal } from './output/terminal.ts'
import { MeshError } from './protocol.ts'
import { reportError } from './report-error.ts'

/** @returns the exit code */
export async function runProgram(argv: readonly string[]): Promise<ExitCode> {
  const environment = readEnvironment()
  const terminal = openTerminal(argv, environment)
  leaveQuietlyWhenNobodyReads(process.stdout)
  try {
    return await dispatch(resolveCommand(argv), { environment, terminal })
  } catch (error) {
    return reportError(error, { terminal, debug: environment.debug })
  }
}

const commands: Commands = { resolve: resolveCommand, below: commandsOf, nextWords }

interface Surroundings {
  readonly environment: Environment
  readonly terminal: Terminal
}

async function dispatch(resolution: Resolution, surroundings: Surroundings): Promise<ExitCode> {
  switch (resolution.kind) {
    case 'command':
      return await runCommand(resolution.entry, resolution.rest, surroundings)
    case 'help':
      surroundings.terminal.line((await groupHelp(resolution.group)).trimEnd())
      return exitCodes.ok
    case 'incomplete':
      surroundings.terminal.note((await groupHelp(resolution.group)).trimEnd())
      return exitCodes.usage
    case 'unknown': {
      const name = ['claudemesh', ...resolution.group].join(' ')
      const meant = resolution.near === null ? '' : `; did you mean ${resolution.near}?`
      const what = resolution.word.startsWith('-') ? 'option' : 'command'
      throw invalidUsage(`${name} has no ${what} ${resolution.word}${meant}`, seeHelp(resolution.group))
    }
    default:
      return resolution satisfies never
  }
}

async function runCommand(
  { words, load }: CommandEntry,
  argv: readonly string[],
  { environment, terminal }: Surroundings,
): Promise<ExitCode> {
  const definition = await load()
  const parser = buildParser(words, definition, terminal)
  try {
    parser.parse(argv, { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    if (error.exitCode === 0) return exitCodes.ok
    throw usageOf(error, words)
  }
  const values: Record<string, unknown> = parser.opts()
  const flags = new Flags(new Map(parser.options.map((option) => [longName(option), optionValue(option, values)])))
  try {
    return await definition.run({ args: parser.args, flags, mesh: flags.text('mesh'), environment, terminal, commands })
  } catch (error) {
    throw withHelpOf(words, error)
  }
}

/** A fault of the command line that names no remedy of its own is answered with the help of the command. */
function withHelpOf(words: readonly string[], error: unknown): unknown {
  const isBare = error instanceof MeshError && error.hint === new MeshError('invalid_usage').hint
  return isBare ? invalidUsage(error.message, seeHelp(words)) : error
}

/** The option's value under its own name: commander keeps `--no-receipts` as `receipts: false`. */
function optionValue(option: Option, values: Readonly<Record<string, unknown>>): unknown {
  const value = values[option.attributeName()]
  return option.negate ? value === false : value
}

function longName(option: Option): string {
  return (option.long ?? option.name()).replace(/^--/, '')
}

/** What reads the line of a command and tells its help; a fault of the line is a CommanderError. */
export function buildParser(words: readonly string[], definition: CommandDefinition, terminal: Terminal): Command {
  const parser = newParser(['claudemesh', ...words].join(' '), terminal)
    .description(definition.summary)
    .allowExcessArguments(false)
  for (const { syntax, describe } of definition.arguments ?? []) parser.argument(syntax, describe)
  for (const { syntax, describe, repeatable } of definition.options ?? []) {
    const option = new Option(syntax, describe)
    parser.addOption(repeatable === true ? option.argParser(collect) : option)
  }
  for (const { syntax, describe } of globalOptions) parser.addOption(new Option(syntax, describe))
  const examples = definition.examples.map(({ line, describe }) => `  ${line}\n      ${describe}`)
  return parser.addHelpText('after', `\nExamples:\n${examples.join('\n')}`)
}

function newParser(name: string, terminal: Terminal): Command {
  return new CommanderCommand(name)
    .helpOption('-h, --help', 'show this help')
    .helpCommand(false)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => terminal.line(text.trimEnd()),
      // What commander has to say against a command line is thrown and reported like every other error.
      outputError: () => undefined,
    })
}

function collect(value: string, previous: readonly string[] | undefined): readonly string[] {
  return [...(previous ?? []), value]
}

function usageOf(error: CommanderError, words: readonly string[]): Error {
  const detail = error.message.replace(/^error: /, '').replaceAll('\n', ' ')
  return invalidUsage(detail, seeHelp(words))
}

function seeHelp(words: readonly string[]): string {
  return `See \`${['claudemesh', ...words].join(' ')} --help\`.`
}

async function groupHelp(group: readonly string[]): Promise<string> {
  const name = ['claudemesh', ...group].join(' ')
  const entries = commandsOf(group)
  const summaries = await Promise.all(entries.map(async ({ load }) => (await load()).summary))
  const title = (entry: CommandEntry) => entry.words.slice(group.length).join(' ')
  const globalTitles = globalOptions.map(({ syntax }) => syntax)
  const width = Math.max(...[...entries.map(title), ...globalTitles, helpTitle].map(({ length }) => length))
  const lines = entries.map((entry, index) => `  ${title(entry).padEnd(width)}  ${summaries[index] ?? ''}`)
  const globals = globalOptions.map(({ syntax, describe }) => `  ${syntax.padEnd(width)}  ${describe}`)
  return [
    `Usage: ${name} <command> [options]`,
    ...(group.length === 0 ? ['', 'Messages between agents on any host: kept once acknowledged, delivered once.'] : []),
    '',
    'Commands:',
    ...lines,
    '',
    'Options of every command:',
    ...globals,
    `  ${helpTitle.padEnd(width)}  show help; for one command: ${name} <command> --help`,
    ...(group.length === 0 ? [`  ${'-V, --version'.padEnd(width)}  print the version`, ...firstSteps] : []),
  ].join('\n')
}

const helpTitle = '-h, --help'

const firstSteps = [
  '',
  'Examples:',
  '  claudemesh init && claudemesh daemon start',
  '      make a home with a first mesh and bring it up',
  '  claudemesh send --to @reviewer "build is green"',
  '      send a message and wait until the broker has it',
  '  claudemesh inbox --unread',
  '      see what came in',
]

function openTerminal(argv: readonly string[], environment: Environment): Terminal {
  const ownWords = argv.includes('--') ? argv.slice(0, argv.indexOf('--')) : argv
  return new Terminal({
    stdout: process.stdout,
    stderr: process.stderr,
    json: ownWords.includes('--json'),
    colour: ownWords.includes('--no-color') ? 'never' : environment.colour,
  })
}

/** `claudemesh inbox | head -1` ends when head has seen enough, and that is no error. */
function leaveQuietlyWhenNobodyReads(stream: OutputStream & NodeJS.EventEmitter): void {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(exitCodes.ok)
    throw error
  })
}
