/** The environment of a command: the only place of the CLI that reads `process.env`, and it reads it once. */
import { homedir, hostname } from 'node:os'
import { isAbsolute, join } from 'node:path'
import { isCi, readTraceContext, type TraceContext } from './protocol.ts'

export interface Environment {
  /** Where everything of this user is: CLAUDEMESH_HOME, by default ~/.claudemesh. */
  readonly home: string
  /** Whether CLAUDEMESH_HOME says so. */
  readonly isHomeChosen: boolean
  /** The mesh that commands mean when they name none: CLAUDEMESH_MESH. */
  readonly mesh: string | null
  /** Data directory of the broker on this host: CLAUDEMESH_BROKER_DATA, by default the one in the home. */
  readonly brokerData: string
  /** Where programs of this user have their settings: XDG_CONFIG_HOME, by default ~/.config. */
  readonly configHome: string
  /** Name of this host, from which a member's default name is made. */
  readonly hostname: string
  /** Whether this is a CI job. */
  readonly isCi: boolean
  /** The trace that this command is part of: TRACEPARENT and TRACESTATE, as tracers of processes hand them on. */
  readonly trace: TraceContext | null
  readonly colour: ColourWish
  /** Where agents keep their configuration. */
  readonly clientFolders: ClientFolders
  /** CLAUDEMESH_DEBUG: show where an unexpected error came from. */
  readonly debug: boolean
}

/** Where agents of this user and of this directory keep their configuration. */
export interface ClientFolders {
  /** CLAUDE_CONFIG_DIR, by default ~/.claude. */
  readonly claude: string
  /** The file with the servers of Claude Code. */
  readonly claudeConfig: string
  /** CODEX_HOME, by default ~/.codex. */
  readonly codex: string
  /** The working directory. */
  readonly project: string
}

/** What the environment says about colour (no-color.org): `auto` leaves it to whether a terminal is there. */
export type ColourWish = 'never' | 'always' | 'auto'

export function readEnvironment(env: Readonly<Record<string, string | undefined>> = process.env): Environment {
  const home = readHome(env['CLAUDEMESH_HOME'])
  return {
    home,
    isHomeChosen: nonEmpty(env['CLAUDEMESH_HOME']) !== null,
    brokerData: nonEmpty(env['CLAUDEMESH_BROKER_DATA']) ?? join(home, 'broker'),
    mesh: nonEmpty(env['CLAUDEMESH_MESH']),
    configHome: readConfigHome(env['XDG_CONFIG_HOME']),
    hostname: hostname(),
    isCi: isCi(env),
    trace: readTraceContext(env['TRACEPARENT'], env['TRACESTATE']),
    colour: readColourWish(env),
    clientFolders: readClientFolders(env),
    debug: nonEmpty(env['CLAUDEMESH_DEBUG']) !== null,
  }
}

/** The environment of a process that works in the same home, whatever its working directory. */
export function childEnvironment(home: string): Readonly<Record<string, string | undefined>> {
  return { ...process.env, CLAUDEMESH_HOME: home }
}

function readClientFolders(env: Readonly<Record<string, string | undefined>>): ClientFolders {
  const claude = nonEmpty(env['CLAUDE_CONFIG_DIR'])
  return {
    claude: claude ?? join(homedir(), '.claude'),
    claudeConfig: join(claude ?? homedir(), '.claude.json'),
    codex: nonEmpty(env['CODEX_HOME']) ?? join(homedir(), '.codex'),
    project: process.cwd(),
  }
}

function readHome(value: string | undefined): string {
  const home = nonEmpty(value)
  if (home === null) return join(homedir(), '.claudemesh')
  return isAbsolute(home) ? home : join(process.cwd(), home)
}

/** A relative one is ignored, as its specification says. */
function readConfigHome(value: string | undefined): string {
  return value !== undefined && isAbsolute(value) ? value : join(homedir(), '.config')
}

function readColourWish(env: Readonly<Record<string, string | undefined>>): ColourWish {
  if (nonEmpty(env['NO_COLOR']) !== null) return 'never'
  const forced = nonEmpty(env['FORCE_COLOR'])
  if (forced !== null && forced !== '0') return 'always'
  return env['TERM'] === 'dumb' ? 'never' : 'auto'
}

function nonEmpty(value: string | undefined): string | null {
  return value === undefined || value === '' ? null : value
}
