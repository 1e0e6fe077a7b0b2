import type { CommandDefinition } from '../../command.ts'
import { withDaemon } from '../../connection.ts'
import { exitCodes } from '../../exit-codes.ts'
import { interruptible } from '../../interruption.ts'
import { Progress } from '../../output/progress.ts'
import { formatBytes, formatCount } from '../../output/quantity.ts'

export const command: CommandDefinition = {
  summary: 'Write a finalized package out as a directory: all of it, verified, or nothing',
  arguments: [
    { syntax: '<package>', describe: 'its id' },
    { syntax: '<directory>', describe: 'does not exist yet, or is empty' },
  ],
  examples: [{ line: 'claudemesh artifact pull 01JD... ./report', describe: 'files for this user alone (0600)' }],

  async run(invocation) {
    const { args, terminal } = invocation
    const [packageId = '', directory = ''] = args
    const { pullPackage } = await import('../../artifacts/pull.ts')
    let written = 0
    const progress = new Progress(terminal, () => `${formatBytes(written)} written`)
    const onProgress = ({ bytes }: { readonly bytes: number }) => {
      written += bytes
      progress.update()
    }
    const pulled = await interruptible(
      async (signal) =>
        await withDaemon(invocation, async ({ artifacts }) =>
          pullPackage(artifacts, { packageId, directory, signal, onProgress }).finally(() => progress.end()),
        ),
    )
    const { manifestDigest, files, bytes } = pulled
    terminal.print({
      value: { package_id: packageId, directory, manifest_digest: manifestDigest, files, bytes },
      render: () => [
        `${directory}: ${formatCount(files, 'file')}, ${formatBytes(bytes)}, verified by ${manifestDigest}`,
      ],
    })
    return exitCodes.ok
  },
}
