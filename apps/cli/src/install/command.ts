/** What `install` and `uninstall` have in common: for whom, where, and how what changes is shown. */
import type { Invocation, OptionDefinition } from '../command.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import { invalidUsage } from '../flags.ts'
import { applyChanges } from './apply.ts'
import { agentClients, changesFor, type FileChange, type InstallScope, installScopes } from './client-files.ts'
import type { ServerEntry } from './server-entry.ts'

export const installOptions: readonly OptionDefinition[] = [
  { syntax: '--for <client>', describe: agentClients.join(' or ') },
  {
    syntax: '--scope <scope>',
    describe: 'user (default): for every project; project: for who works in this directory',
  },
  { syntax: '--dry-run', describe: 'show what would change, and change nothing' },
]

/** @param entry what an agent is to start; null: what is ours is taken out */
export function changeClient(
  { flags, environment, terminal }: Invocation,
  { entryFor, name }: { entryFor: (scope: InstallScope) => ServerEntry | null; name: string },
): ExitCode {
  const client = flags.choice('for', agentClients)
  if (client === null) throw invalidUsage('--for is missing', `Say for whom: \`claudemesh ${name} --for claude-code\`.`)
  const scope = flags.choice('scope', installScopes) ?? 'user'
  const changes = changesFor({ client, scope, folders: environment.clientFolders, entry: entryFor(scope) })
  const isDryRun = flags.isSet('dry-run')
  if (!isDryRun) applyChanges(changes)
  terminal.print({
    value: { client, scope, dry_run: isDryRun, changed: changes.map(({ path, after }) => ({ path, content: after })) },
    render: () => describe(changes, isDryRun),
  })
  return exitCodes.ok
}

function describe(changes: readonly FileChange[], isDryRun: boolean): readonly string[] {
  if (changes.length === 0) return ['nothing to change']
  return changes.flatMap(({ path, before, after }) => {
    const verb = after === null ? 'removed' : before === null ? 'made' : 'changed'
    if (!isDryRun) return [`${verb}: ${path}`]
    return [`would be ${verb}: ${path}`, ...addedLines(before, after).map((line) => `  + ${line}`)]
  })
}

/** What the new text has and the old one has not. */
function addedLines(before: string | null, after: string | null): readonly string[] {
  const known = new Set((before ?? '').split('\n'))
  return (after ?? '').split('\n').filter((line) => line.trim() !== '' && !known.has(line))
}
