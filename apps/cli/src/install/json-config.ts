import { MeshError } from '../protocol.ts'
import type { ConfigEdit, ServerEntry } from './server-entry.ts'

const serverName = 'claudemesh'

/**
 * A configuration in JSON with our server among its `mcpServers`, or without it. Everything else stays, in its order.
 *
 * @returns null for a file that is not there and need not be
 * @throws MeshError `config_invalid` when it is no JSON object
 */
export function withServerJson({ path, before, entry }: ConfigEdit): string | null {
  if (before === null && entry === null) return null
  const config = parse(path, before ?? '{}')
  const servers = config['mcpServers'] ?? {}
  if (!isObject(servers)) throw invalid(path, 'mcpServers is not an object')
  const present = servers[serverName]
  if (entry === null && present === undefined) return before
  if (entry !== null && JSON.stringify(present) === JSON.stringify(written(entry))) return before
  const others = Object.entries(servers).filter(([name]) => name !== serverName)
  const changed = Object.fromEntries(entry === null ? others : [...others, [serverName, written(entry)]])
  return `${JSON.stringify({ ...config, mcpServers: changed }, null, indentOf(before))}\n`
}

function written({ command, args, env }: ServerEntry) {
  return { type: 'stdio', command, args, env }
}

function parse(path: string, text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text)
    if (isObject(value)) return value
  } catch (error) {
    throw invalid(path, error instanceof Error ? error.message : String(error))
  }
  throw invalid(path, 'it is not an object')
}

function invalid(path: string, reason: string): MeshError {
  return new MeshError('config_invalid', {
    detail: `${path} cannot be read as JSON: ${reason}`,
    hint: 'Nothing was changed. Mend the file, and run the command again.',
  })
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** As the file has it, so that a change shows as what it is. */
function indentOf(text: string | null): string {
  return /^[{[]\r?\n([ \t]+)/.exec(text ?? '')?.[1] ?? '  '
}
