import { lstat } from 'node:fs/promises'
import { basename } from 'node:path'
import type { ArtifactUpload } from '@claudemesh/client'
import type { IngestedArtifactFile } from '@claudemesh/protocol/artifacts'
import type { CommandDefinition } from '../../command.ts'
import { withDaemon } from '../../connection.ts'
import { exitCodes } from '../../exit-codes.ts'
import { invalidUsage } from '../../flags.ts'
import { interruptible } from '../../interruption.ts'
import { Progress } from '../../output/progress.ts'
import { formatBytes } from '../../output/quantity.ts'
import { MeshError } from '../../protocol.ts'
import { readWhole } from '../../tree/source-file.ts'

export const command: CommandDefinition = {
  summary: 'Put files into an open package, under their own names',
  arguments: [
    { syntax: '<package>', describe: 'its id' },
    { syntax: '<file...>', describe: 'files; - is stdin' },
  ],
  options: [
    { syntax: '--as <path>', describe: 'the path in the package, for one file; needed for stdin' },
    { syntax: '--media-type <type>', describe: 'as in text/plain; default application/octet-stream' },
    { syntax: '--replace', describe: 'take the place of a file that has the path' },
  ],
  examples: [
    { line: 'claudemesh artifact add 01JD... report.pdf data.csv', describe: 'two files' },
    { line: 'pg_dump db | claudemesh artifact add 01JD... - --as db.sql', describe: 'whatever a pipe brings' },
  ],

  async run(invocation) {
    const { args, flags, terminal } = invocation
    const [packageId = '', ...paths] = args
    const as = flags.text('as')
    if (as !== null && paths.length > 1) throw invalidUsage('--as is the path of one file, and there are several')
    if (as === null && paths.includes('-')) throw invalidUsage('stdin has no name of its own', 'Give it one with --as.')
    const mediaType = flags.text('media-type')
    const common = { replace: flags.isSet('replace'), ...(mediaType === null ? {} : { mediaType }) }
    let sent = 0
    const progress = new Progress(terminal, () => `${formatBytes(sent)} sent`)
    const onBytes = (count: number) => {
      sent += count
      progress.update()
    }
    const added: IngestedArtifactFile[] = []
    await interruptible(async (signal) => {
      try {
        await withDaemon(invocation, async ({ artifacts }) => {
          for (const path of paths) {
            const source = path === '-' ? readStdin(onBytes) : await readFile(path, onBytes)
            const file = { relativePath: as ?? basename(path), ...common, ...source }
            added.push(await artifacts.putFile(packageId, file, { signal }).catch(naming(path, added)))
          }
        })
      } finally {
        progress.end()
      }
    })
    terminal.print({
      value: { package_id: packageId, files: added },
      render: ({ files }) =>
        files.map(
          ({ file_id, relative_path, size_bytes }) => `${file_id}  ${relative_path}  ${formatBytes(size_bytes)}`,
        ),
    })
    return exitCodes.ok
  },
}

type Source = Pick<ArtifactUpload, 'open' | 'reopens' | 'sizeBytes'>

async function readFile(path: string, onBytes: (count: number) => void): Promise<Source> {
  const { size: sizeBytes } = await lstat(path)
  return { open: () => readWhole(path, { sizeBytes, onBytes }), reopens: true, sizeBytes }
}

function readStdin(onBytes: (count: number) => void): Source {
  process.stdin.on('data', (chunk: Buffer) => onBytes(chunk.length))
  process.stdin.pause()
  return { open: () => process.stdin, reopens: false }
}

/** Says at which of several files it ended, and which are in the package. */
function naming(path: string, added: readonly IngestedArtifactFile[]) {
  return (error: unknown): never => {
    if (!(error instanceof MeshError)) throw error
    const data = { ...error.data, file: path, added: added.map(({ relative_path }) => relative_path) }
    const detail = `${path}: ${error.message}`
    throw new MeshError(error.code, { detail, hint: error.hint, data, cause: error })
  }
}
