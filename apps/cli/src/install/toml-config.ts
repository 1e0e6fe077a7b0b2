import { parse, stringify } from 'smol-toml'
import { MeshError } from '../protocol.ts'
import type { ConfigEdit } from './server-entry.ts'

/** The tables that are ours: a table ends where the next one begins. */
const ownTable = /^[ \t]*\[mcp_servers\.(?:claudemesh|"claudemesh")(?:\.[^\]]+)?\][^\n]*\n?(?:(?![ \t]*\[)[^\n]*\n?)*/gm

/**
 * A configuration in TOML with our server among its `mcp_servers`, or without it. Everything else stays as it is written,
 * comments too.
 *
 * @returns null for a file that is not there and need not be
 * @throws MeshError `config_invalid` when it is no TOML, or has our server in a form that is not a table of its own
 */
export function withServerToml({ path, before, entry }: ConfigEdit): string | null {
  if (before === null && entry === null) return null
  const text = before ?? ''
  read(path, text)
  const others = text.replaceAll(ownTable, '')
  if (hasServer(read(path, others))) {
    throw invalid(path, 'mcp_servers.claudemesh is there, but not as a table of its own')
  }
  if (entry === null) return others === text ? before : `${others.trimEnd()}\n`
  const { command, args, env } = entry
  const table = stringify({ mcp_servers: { claudemesh: { command, args: [...args], env } } })
  const after = `${others.trimEnd() === '' ? '' : `${others.trimEnd()}\n\n`}${table.trim()}\n`
  read(path, after)
  return after
}

function read(path: string, text: string): Readonly<Record<string, unknown>> {
  try {
    return parse(text)
  } catch (error) {
    throw invalid(path, error instanceof Error ? error.message : String(error))
  }
}

function hasServer(config: Readonly<Record<string, unknown>>): boolean {
  const servers = config['mcp_servers']
  return typeof servers === 'object' && servers !== null && 'claudemesh' in servers
}

function invalid(path: string, reason: string): MeshError {
  return new MeshError('config_invalid', {
    detail: `${path} cannot be changed: ${reason}`,
    hint: 'Nothing was changed. Mend the file, and run the command again.',
  })
}
