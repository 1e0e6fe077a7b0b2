import type { CommandDefinition } from '../command.ts'
import { changeClient, installOptions } from '../install/command.ts'

export const command: CommandDefinition = {
  summary: 'Take the mesh out of the configuration of an agent; messages and files stay',
  options: installOptions,
  examples: [{ line: 'claudemesh uninstall --for claude-code', describe: 'what install wrote, and nothing else' }],

  async run(invocation) {
    return changeClient(invocation, { name: 'uninstall', entryFor: () => null })
  },
}
