import { createHash } from 'node:crypto'
import { realpathSync } from 'node:fs'
import { basename } from 'node:path'
import { text } from 'node:stream/consumers'
import type { Artifacts } from '@claudemesh/client'
import type { NewArtifactPackage } from '@claudemesh/protocol/artifacts'
import { packageOptions, readNewPackage } from '../../artifacts/new-package.ts'
import type { CommandDefinition, Invocation } from '../../command.ts'
import { withDaemon } from '../../connection.ts'
import { exitCodes } from '../../exit-codes.ts'
import { invalidUsage } from '../../flags.ts'
import { interruptible } from '../../interruption.ts'
import { Progress } from '../../output/progress.ts'
import { formatBytes, formatCount } from '../../output/quantity.ts'
import { readTextFile } from '../../text-input.ts'

export const command: CommandDefinition = {
  summary: 'Put a directory into a package; repeated, it sends what is missing or has changed',
  arguments: [{ syntax: '<directory>', describe: 'everything in it, hidden files too' }],
  options: [
    { syntax: '--package <id>', describe: 'into that one, beside what it has; default: the one of this directory' },
    { syntax: '--finalize', describe: 'seal the package when all is in it' },
    { syntax: '--files-from <path>', describe: 'only the files listed there, one a line or NUL-separated; - is stdin' },
    { syntax: '--skip-special', describe: 'leave out links, pipes, sockets and devices, which are refused otherwise' },
    { syntax: '--name <text>', describe: 'of a new package; default: that of the directory' },
    ...packageOptions,
  ],
  examples: [
    { line: 'claudemesh artifact push ./report --finalize', describe: 'interrupted, the same again goes on' },
    {
      line: 'git ls-files -z | claudemesh artifact push . --files-from - --finalize',
      describe: 'a checkout without what is ignored',
    },
  ],

  async run(invocation) {
    const { args, flags, environment, terminal } = invocation
    const [directory = ''] = args
    const { walkTree } = await import('../../tree/walk.ts')
    const { pushFiles } = await import('../../artifacts/push.ts')
    const place = realpathSync(directory)
    const name = flags.text('name') ?? (basename(place) || 'root')
    const request = readNewPackage(flags, { name, host: environment.hostname })
    const only = await readList(flags.text('files-from'))
    const policy = request.path_policy ?? 'portable'
    const { files, skipped } = await walkTree(directory, { policy, only, skipSpecial: flags.isSet('skip-special') })
    const bytesAll = files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
    const done = { files: 0, bytes: 0 }
    const progress = new Progress(
      terminal,
      () =>
        `${done.files} of ${formatCount(files.length, 'file')}, ${formatBytes(done.bytes)} of ${formatBytes(bytesAll)} sent`,
    )
    const onProgress = (step: { readonly files: number; readonly bytes: number }) => {
      done.files += step.files
      done.bytes += step.bytes
      progress.update()
    }
    const pushed = await interruptible(
      async (signal) =>
        await withDaemon(invocation, async ({ artifacts }) => {
          const target = await findTarget(artifacts, invocation, { place, request })
          try {
            const counts = await pushFiles(artifacts, { ...target, files, signal, onProgress })
            const finalized = flags.isSet('finalize') ? await artifacts.finalize(target.packageId) : null
            return { packageId: target.packageId, counts, manifestDigest: finalized?.manifest_digest ?? null }
          } catch (error) {
            progress.end()
            if (!terminal.json)
              terminal.note(`what was sent stays in package ${target.packageId}; the same command goes on with it`)
            throw error
          }
        }),
    )
    progress.end()
    const { packageId, counts, manifestDigest } = pushed
    terminal.print({
      value: {
        package_id: packageId,
        files: files.length,
        bytes: bytesAll,
        sent: counts.sent,
        bytes_sent: counts.bytesSent,
        reused: counts.reused,
        unchanged: counts.unchanged,
        removed: counts.removed,
        skipped,
        manifest_digest: manifestDigest,
      },
      render: () => [
        ...skipped.map((what) => `left out: ${what}`),
        `${packageId}: ${formatCount(files.length, 'file')}, ${formatBytes(bytesAll)}; sent ${counts.sent} (${formatBytes(counts.bytesSent)}), in the store already ${counts.reused}, unchanged ${counts.unchanged}, removed ${counts.removed}`,
        manifestDigest === null ? `  -> claudemesh artifact finalize ${packageId}` : `finalized by ${manifestDigest}`,
      ],
    })
    return exitCodes.ok
  },
}

/** The member of a package's metadata by which a directory finds the package that it was pushed into. */
const sourceKey = 'pushed_from'

interface Target {
  readonly packageId: string
  readonly removeOthers: boolean
}

/** The package that was named, or the open one of this directory: what it holds then is what the directory holds. */
async function findTarget(
  artifacts: Artifacts,
  { flags, environment }: Invocation,
  o: { readonly place: string; readonly request: NewArtifactPackage },
): Promise<Target> {
  const named = flags.text('package')
  if (named !== null) return { packageId: named, removeOthers: false }
  // Says which directory it was without telling whoever gets the package where on which host that is.
  const source = createHash('sha256').update(`${environment.hostname}\n${o.place}`).digest('hex')
  let latest: string | null = null
  for await (const found of artifacts.eachPackage({ status: 'created', [`meta.${sourceKey}`]: source })) {
    if (found.name === o.request.name) latest = found.package_id
  }
  if (latest !== null) return { packageId: latest, removeOthers: true }
  const metadata = { ...o.request.metadata, [sourceKey]: source }
  const { package_id: packageId } = await artifacts.createPackage({ ...o.request, metadata })
  return { packageId, removeOthers: true }
}

async function readList(path: string | null): Promise<readonly string[] | null> {
  if (path === null) return null
  const list = path === '-' ? await text(process.stdin) : readTextFile(path)
  const names = list.split(list.includes('\u0000') ? '\u0000' : '\n').filter((name) => name !== '')
  if (names.length === 0) throw invalidUsage('the list of files is empty')
  return names
}
