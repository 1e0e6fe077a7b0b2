/** Where agents keep their configuration, and what of it is ours. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ClientFolders } from '../environment.ts'
import { withServerJson } from './json-config.ts'
import type { ServerEntry } from './server-entry.ts'
import { readSkill } from './skill.ts'
import { withServerToml } from './toml-config.ts'

export const agentClients = ['claude-code', 'codex'] as const
export type AgentClient = (typeof agentClients)[number]
export const installScopes = ['user', 'project'] as const
export type InstallScope = (typeof installScopes)[number]

/** One file, as it is and as it is to be; null: there is none. */
export interface FileChange {
  readonly path: string
  readonly before: string | null
  readonly after: string | null
  /** Of a file that is made. */
  readonly mode: number
}

export interface ClientRequest {
  readonly client: AgentClient
  readonly scope: InstallScope
  readonly folders: ClientFolders
  /** Null: what is ours is taken out. */
  readonly entry: ServerEntry | null
}

const privateMode = 0o600
/** Of files that a team keeps in its repository. */
const sharedMode = 0o644

/** What has to change, which may be nothing. @throws MeshError `config_invalid` of a file that cannot be read as what it is */
export function changesFor(o: ClientRequest): readonly FileChange[] {
  return filesOf(o)
    .map(({ path, mode, edit }) => {
      const before = existsSync(path) ? readFileSync(path, 'utf8') : null
      return { path, mode, before, after: edit(before) }
    })
    .filter(({ before, after }) => before !== after)
}

interface OwnFile {
  readonly path: string
  readonly mode: number
  readonly edit: (before: string | null) => string | null
}

function filesOf({ client, scope, folders, entry }: ClientRequest): readonly OwnFile[] {
  const mode = scope === 'user' ? privateMode : sharedMode
  const skill = (directory: string): OwnFile => ({
    path: join(directory, 'skills/claudemesh/SKILL.md'),
    mode,
    edit: () => (entry === null ? null : readSkill()),
  })
  if (client === 'codex') {
    const path = join(scope === 'user' ? folders.codex : join(folders.project, '.codex'), 'config.toml')
    return [{ path, mode, edit: (before) => withServerToml({ path, before, entry }) }]
  }
  const path = scope === 'user' ? folders.claudeConfig : join(folders.project, '.mcp.json')
  const directory = scope === 'user' ? folders.claude : join(folders.project, '.claude')
  return [{ path, mode, edit: (before) => withServerJson({ path, before, entry }) }, skill(directory)]
}
