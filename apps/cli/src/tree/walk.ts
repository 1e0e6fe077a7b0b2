/**
 * The regular files below a directory, as what a package of them would hold.
 *
 * 1. All of it is looked at before anything is read: what cannot be in a package is told at once, all together.
 * 2. No link is followed, and nothing is opened that is no regular file: a pipe would never end.
 * 3. The order is that of the paths' bytes, whatever the file system's is.
 */
import { lstat } from 'node:fs/promises'
import { join } from 'node:path'
import { listTree, normalizeRelativePath, type PathPolicy } from '@claudemesh/artifacts'
import { invalidUsage } from '../flags.ts'
import { MeshError } from '../protocol.ts'

/** One file to put into a package. */
export interface TreeFile {
  /** In the package. */
  readonly relativePath: string
  /** On this host. */
  readonly path: string
  readonly sizeBytes: number
}

export interface WalkOptions {
  readonly policy: PathPolicy
  /** Only these, relative to the directory; null: everything that is in it. */
  readonly only: readonly string[] | null
  /** Whether what is no regular file is left out instead of refused. */
  readonly skipSpecial: boolean
}

export interface Walked {
  readonly files: readonly TreeFile[]
  /** What was left out, and what each is. */
  readonly skipped: readonly string[]
}

/** @throws MeshError `invalid_path` for links and the like; ArtifactError `invalid_path`; what the system says */
export async function walkTree(directory: string, o: WalkOptions): Promise<Walked> {
  if (!(await lstat(join(directory, '.'))).isDirectory()) throw invalidUsage(`${directory} is not a directory`)
  const names = o.only ?? (await listPaths(directory))
  const files: TreeFile[] = []
  const special: string[] = []
  for (const name of names) {
    const { relative_path: relativePath } = normalizeRelativePath(name, o.policy)
    const path = join(directory, name)
    const stats = await lstat(path)
    if (stats.isFile()) files.push({ relativePath, path, sizeBytes: stats.size })
    else special.push(`${name} (${stats.isDirectory() ? 'directory' : kindOf(stats)})`)
  }
  if (special.length > 0 && !o.skipSpecial) throw notRegular(special)
  return { files: files.sort((one, other) => compareBytes(one.relativePath, other.relativePath)), skipped: special }
}

async function listPaths(directory: string): Promise<readonly string[]> {
  const paths: string[] = []
  for await (const { path } of listTree(directory)) paths.push(path)
  return paths
}

function kindOf(stats: Awaited<ReturnType<typeof lstat>>): string {
  if (stats.isSymbolicLink()) return 'symbolic link'
  if (stats.isFIFO()) return 'named pipe'
  return stats.isSocket() ? 'socket' : 'device'
}

const shownMax = 10

function notRegular(special: readonly string[]): MeshError {
  const more = special.length > shownMax ? ` and ${special.length - shownMax} more` : ''
  return new MeshError('invalid_path', {
    detail: `a package holds regular files only, and there are others: ${special.slice(0, shownMax).join(', ')}${more}`,
    hint: 'Leave them out with --skip-special.',
    data: { special },
  })
}

function compareBytes(one: string, other: string): number {
  return Buffer.compare(Buffer.from(one), Buffer.from(other))
}
