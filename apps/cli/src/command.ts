/**
 * What a command is. Each has a file with the same five parts in the same order: what it is for (`summary`), what it
 * takes (`arguments`, `options`), how it is used (`examples`), what it does (`run`), how that looks to a person.
 */
import type { Environment } from './environment.ts'
import type { ExitCode } from './exit-codes.ts'
import type { Flags } from './flags.ts'
import type { Terminal } from './output/terminal.ts'

export interface ArgumentDefinition {
  /** `<token>` is required, `[text]` may be left out, `[ids...]` may be repeated. */
  readonly syntax: string
  readonly describe: string
}

export interface OptionDefinition {
  /** `--to <destination>`, or `-f, --follow`. */
  readonly syntax: string
  readonly describe: string
  /** Whether it may be given several times. */
  readonly repeatable?: boolean
}

/** What every command takes. */
export const globalOptions: readonly OptionDefinition[] = [
  { syntax: '--mesh <slug>', describe: 'the mesh to act in; default: CLAUDEMESH_MESH, else the only one, else home' },
  { syntax: '--json', describe: 'print JSON, errors too' },
  { syntax: '--no-color', describe: 'print without colour' },
]

interface Example {
  readonly line: string
  readonly describe: string
}

/** What a command is called with. */
export interface Invocation {
  readonly args: readonly string[]
  readonly flags: Flags
  /** The mesh named by --mesh. */
  readonly mesh: string | null
  readonly environment: Environment
  readonly terminal: Terminal
  readonly commands: Commands
}

export interface CommandDefinition {
  readonly summary: string
  readonly arguments?: readonly ArgumentDefinition[]
  readonly options?: readonly OptionDefinition[]
  readonly examples: readonly Example[]
  /**
   * @returns the exit code
   * @throws MeshError, which is reported with its hint
   */
  run(invocation: Invocation): Promise<ExitCode>
}

export interface CommandEntry {
  readonly words: readonly string[]
  readonly load: () => Promise<CommandDefinition>
}

/** What a command line asks for, before its options are read. */
export type Resolution =
  | { readonly kind: 'command'; readonly entry: CommandEntry; readonly rest: readonly string[] }
  | { readonly kind: 'help'; readonly group: readonly string[] }
  | { readonly kind: 'incomplete'; readonly group: readonly string[] }
  | { readonly kind: 'unknown'; readonly group: readonly string[]; readonly word: string; readonly near: string | null }

/** The commands that there are, for one that tells of others. */
export interface Commands {
  readonly resolve: (argv: readonly string[]) => Resolution
  readonly below: (group: readonly string[]) => readonly CommandEntry[]
  /** The words that go on from a group. */
  readonly nextWords: (group: readonly string[]) => readonly string[]
}
