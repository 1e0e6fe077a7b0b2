import { findFile, parseReference } from '../../artifacts/reference.ts'
import type { CommandDefinition } from '../../command.ts'
import { withDaemon } from '../../connection.ts'
import { exitCodes } from '../../exit-codes.ts'
import { invalidUsage } from '../../flags.ts'

export const command: CommandDefinition = {
  summary: 'Take a file out of an open package; its bytes go with the next garbage collection',
  arguments: [{ syntax: '<ref>', describe: 'the file: its id, or <package id>/<path>' }],
  options: [{ syntax: '--reason <text>', describe: 'for whoever looks at the log later' }],
  examples: [{ line: 'claudemesh artifact rm 01JD.../draft.txt --reason "superseded"', describe: 'by its path' }],

  async run(invocation) {
    const { args, flags, terminal } = invocation
    const reference = parseReference(args[0] ?? '')
    if (reference.kind === 'content')
      throw invalidUsage('a content address may be that of many files', 'Name one file.')
    const reason = flags.text('reason')
    const removed = await withDaemon(invocation, async ({ artifacts }) => {
      const { file_id } = await findFile(artifacts, reference)
      return await artifacts.removeFile(file_id, reason === null ? {} : { reason })
    })
    terminal.print({ value: removed, render: ({ relative_path }) => [`${relative_path} is out of the package`] })
    return exitCodes.ok
  },
}
