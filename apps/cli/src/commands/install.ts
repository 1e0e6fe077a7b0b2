import { fileURLToPath } from 'node:url'
import type { CommandDefinition } from '../command.ts'
import { changeClient, installOptions } from '../install/command.ts'

export const command: CommandDefinition = {
  summary: 'Give the mesh to an agent: writes our server into its configuration, and a skill where it has them',
  options: installOptions,
  examples: [
    { line: 'claudemesh install --for claude-code --dry-run', describe: 'what would be written, and where' },
    { line: 'claudemesh install --for codex', describe: 'then start the agent anew' },
    { line: 'claudemesh install --for claude-code --scope project', describe: 'into files of this repository' },
  ],

  async run(invocation) {
    const { environment, mesh } = invocation
    const meshArguments = mesh === null ? [] : ['--mesh', mesh]
    const env = environment.isHomeChosen ? { CLAUDEMESH_HOME: environment.home } : {}
    return changeClient(invocation, {
      name: 'install',
      // What a team shares names no place of one host. A user's agent may be started where this command is not on the path.
      entryFor: (scope) =>
        scope === 'project'
          ? { command: 'claudemesh', args: ['mcp', ...meshArguments], env: {} }
          : { command: process.execPath, args: [program, 'mcp', ...meshArguments], env },
    })
  },
}

const program = fileURLToPath(new URL('../../bin/claudemesh.js', import.meta.url))
