import type { CommandDefinition } from '../../command.ts'
import { exitCodes } from '../../exit-codes.ts'
import { renderFields } from '../../output/fields.ts'

export const command: CommandDefinition = {
  summary: 'Show what this version of the store of artifacts reads and writes',
  examples: [{ line: 'claudemesh artifact version', describe: 'no daemon is needed' }],

  async run({ terminal }) {
    const { aboutStore } = await import('@claudemesh/artifacts')
    terminal.print({
      value: aboutStore(),
      render: ({ version, manifest_version, schema, algorithms, hash_provider }) =>
        renderFields({
          version,
          manifest: String(manifest_version),
          schema: String(schema),
          algorithms: algorithms.join(', '),
          'BLAKE3 by': hash_provider,
        }),
    })
    return exitCodes.ok
  },
}
