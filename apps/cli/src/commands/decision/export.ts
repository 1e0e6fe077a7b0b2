import type { CommandDefinition } from '../../command.ts'
import { withDaemon } from '../../connection.ts'
import { spaceArgument } from '../../decisions/options.ts'
import { exitCodes } from '../../exit-codes.ts'
import { interruptible } from '../../interruption.ts'
import { formatBytes } from '../../output/quantity.ts'
import { writeStdout } from '../../output/stdout.ts'

export const command: CommandDefinition = {
  summary: 'Write the whole log of a space as lines of JSON, to stdout or into a new file',
  arguments: [spaceArgument],
  options: [{ syntax: '-o, --out <path>', describe: 'a file that does not exist yet; - for stdout (default)' }],
  examples: [
    { line: 'claudemesh decision export plans -o plans.ndjson', describe: 'for `claudemesh decision import`' },
    { line: 'claudemesh decision export plans | jq .payload', describe: 'one decision a line' },
  ],

  async run(invocation) {
    const { args, flags, terminal } = invocation
    const out = flags.text('out')
    await interruptible(
      async (signal) =>
        await withDaemon(invocation, async ({ spaces }) => {
          const lines = spaces.export(args[0] ?? '', { signal })
          if (out === null || out === '-') return await writeStdout(lines)
          const { streamToNewFile } = await import('../../tree/new-file.ts')
          const size = await streamToNewFile(out, lines)
          terminal.print({
            value: { path: out, size_bytes: size },
            render: () => [`${out}: ${formatBytes(size)}`],
          })
        }),
    )
    return exitCodes.ok
  },
}
