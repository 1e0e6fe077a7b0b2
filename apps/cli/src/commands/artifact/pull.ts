import type { MeshClient } from '@claudemesh/client'
import type { CommandDefinition } from '../../command.ts'
import { withDaemon } from '../../connection.ts'
import { exitCodes } from '../../exit-codes.ts'
import { invalidUsage } from '../../flags.ts'
import { interruptible } from '../../interruption.ts'
import { Progress } from '../../output/progress.ts'
import { formatBytes, formatCount } from '../../output/quantity.ts'
import { MeshError } from '../../protocol.ts'

export const command: CommandDefinition = {
  summary: 'Write a finalized package out as a directory: all of it, verified, or nothing',
  arguments: [
    { syntax: '<package>', describe: 'its id, or that of a share that brings one' },
    { syntax: '<directory>', describe: 'does not exist yet, or is empty' },
  ],
  examples: [{ line: 'claudemesh artifact pull 01JD... ./report', describe: 'files for this user alone (0600)' }],

  async run(invocation) {
    const { args, terminal } = invocation
    const [, directory = ''] = args
    const { pullPackage } = await import('../../artifacts/pull.ts')
    let written = 0
    const progress = new Progress(terminal, () => `${formatBytes(written)} written`)
    const onProgress = ({ bytes }: { readonly bytes: number }) => {
      written += bytes
      progress.update()
    }
    const pulled = await interruptible(
      async (signal) =>
        await withDaemon(invocation, async (client) => {
          const packageId = await findPackage(client, args[0] ?? '')
          const options = { packageId, directory, signal, onProgress }
          return await pullPackage(client.artifacts, options).finally(() => progress.end())
        }),
    )
    const { packageId, manifestDigest, files, bytes } = pulled
    terminal.print({
      value: { package_id: packageId, directory, manifest_digest: manifestDigest, files, bytes },
      render: () => [
        `${directory}: ${formatCount(files, 'file')}, ${formatBytes(bytes)}, verified by ${manifestDigest}`,
      ],
    })
    return exitCodes.ok
  },
}

/** The package of that id, or the one that a share of that id brings, which is fetched for it. */
async function findPackage({ artifacts, files }: MeshClient, id: string): Promise<string> {
  const missing = await artifacts.package(id).then(
    () => null,
    (error: unknown) => error,
  )
  if (missing === null) return id
  if (!(missing instanceof MeshError) || missing.code !== 'package_not_found') throw missing
  const enough = new AbortController()
  try {
    await files.get(id, { signal: enough.signal })
  } catch (error) {
    if (!(error instanceof MeshError)) throw error
    // A package has no bytes of its own: the answer says which one it is.
    const { package_id: packageId } = error.data
    if (typeof packageId === 'string') return packageId
    throw error.code === 'file_not_found' ? missing : error
  }
  enough.abort()
  throw invalidUsage(`${id} is one file and no package`, `Write it with \`claudemesh artifact get ${id} -o <path>\`.`)
}
