import { download, referenceArgument } from '../../artifacts/reference.ts'
import type { CommandDefinition } from '../../command.ts'
import { withDaemon } from '../../connection.ts'
import { exitCodes } from '../../exit-codes.ts'
import { interruptible } from '../../interruption.ts'
import { Progress } from '../../output/progress.ts'
import { formatBytes } from '../../output/quantity.ts'
import { writeStdout } from '../../output/stdout.ts'

export const command: CommandDefinition = {
  summary: 'Write the bytes of a file to stdout, or into a new file; they are checked on the way',
  arguments: [referenceArgument],
  options: [{ syntax: '-o, --out <path>', describe: 'a file that does not exist yet; - for stdout (default)' }],
  examples: [
    { line: 'claudemesh artifact get 01JD.../report.pdf -o report.pdf', describe: 'by package and path' },
    { line: 'claudemesh artifact get 01JE...', describe: 'a file that somebody shared, by the share' },
    { line: 'claudemesh artifact get blake3:af13... | tar -x', describe: 'by content' },
  ],

  async run(invocation) {
    const { args, flags, terminal } = invocation
    const out = flags.text('out')
    await interruptible(
      async (signal) =>
        await withDaemon(invocation, async ({ files }) => {
          const { address, sizeBytes, bytes } = await download(files, args[0] ?? '', signal)
          if (out === null || out === '-') return await writeStdout(bytes)
          let read = 0
          const progress = new Progress(terminal, () => `${formatBytes(read)} of ${formatBytes(sizeBytes ?? 0)}`)
          const { streamToNewFile } = await import('../../tree/new-file.ts')
          const counted = counting(bytes, (count) => {
            read += count
            progress.update()
          })
          const size = await streamToNewFile(out, counted).finally(() => progress.end())
          terminal.print({
            value: { path: out, content_address: address, size_bytes: size },
            render: () => [`${out}: ${formatBytes(size)}, ${address}`],
          })
        }),
    )
    return exitCodes.ok
  },
}

async function* counting(source: AsyncIterable<Uint8Array>, count: (bytes: number) => void) {
  for await (const chunk of source) {
    count(chunk.length)
    yield chunk
  }
}
