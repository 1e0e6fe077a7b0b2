import { renderLocations } from '../../artifacts/locations.ts'
import { findFile, parseReference } from '../../artifacts/reference.ts'
import type { CommandDefinition } from '../../command.ts'
import { withDaemon } from '../../connection.ts'
import { exitCodes } from '../../exit-codes.ts'
import { invalidUsage } from '../../flags.ts'
import { interruptible } from '../../interruption.ts'
import { MeshError } from '../../protocol.ts'

export const command: CommandDefinition = {
  summary: 'Read every byte of a package or a file again; exits with 0 only when all are right',
  arguments: [{ syntax: '<ref>', describe: 'a package or a file: its id, or <package id>/<path>' }],
  examples: [
    { line: 'claudemesh artifact verify 01JD...', describe: 'a package, each of its files wherever it is stored' },
    { line: 'claudemesh artifact verify 01JD.../report.pdf', describe: 'one file' },
  ],

  async run(invocation) {
    const { args, terminal } = invocation
    const reference = parseReference(args[0] ?? '')
    if (reference.kind === 'content') throw invalidUsage('verify takes a package or a file')
    const found = await interruptible(
      async (signal) =>
        await withDaemon(invocation, async ({ artifacts }) => {
          if (reference.kind === 'path') {
            const { file_id } = await findFile(artifacts, reference)
            return await artifacts.verify({ file_id }, { signal })
          }
          return await artifacts.verify({ package_id: reference.id }, { signal }).catch((error: unknown) => {
            if (!(error instanceof MeshError) || error.code !== 'package_not_found') throw error
            return artifacts.verify({ file_id: reference.id }, { signal })
          })
        }),
    )
    const bad = found.locations.filter(({ outcome }) => outcome !== 'verified')
    terminal.print({
      value: found,
      render: ({ locations }) => [
        ...renderLocations(terminal, bad),
        `${locations.length - bad.length} of ${locations.length} are right`,
      ],
    })
    return bad.length === 0 ? exitCodes.ok : exitCodes.io
  },
}
