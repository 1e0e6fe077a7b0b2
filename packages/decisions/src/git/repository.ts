/**
 * The repository that logs of decisions are kept in (07 §3).
 *
 * 1. It is there whole or not at all: made beside its place, synced, and renamed to it.
 * 2. Whoever writes into it, also a `git push` from elsewhere or `git gc`, syncs what it writes: that is in its configuration.
 */
import {
  appendFileSync,
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { MeshError } from '@claudemesh/protocol'
import { crashPoint, syncDirectory, toStorageError, writeFileAtomic } from '@claudemesh/storage'
import { checkGitVersion, git, gitFailure, runGit } from './git-command.ts'
import type { ObjectFormat } from './git-object.ts'

/** Where a repository is and how it names its objects. */
export interface Repository {
  /** The git directory itself: a bare repository, or the `.git` of another one. */
  readonly directory: string
  readonly format: ObjectFormat
}

/** Spaces are branches below this. */
export const spaceRefPrefix = 'refs/heads/spaces/'

/** What a repository that is made here is told beside what git tells it. */
const configuration = `[core]
\tfsync = all
\tfsyncMethod = fsync
\tlogAllRefUpdates = false
; A branch only ever grows, whoever pushes.
[receive]
\tdenyNonFastForwards = true
\tdenyDeletes = true
`

/**
 * Opens the repository at a path, making a bare one where there is nothing or an empty directory.
 *
 * @param format of a new repository; one that is there has its own
 * @throws MeshError `git_missing`, `git_too_old`, `not_a_repository`, `insufficient_storage`, `storage_failed`
 */
export async function openRepository(path: string, format: ObjectFormat): Promise<Repository> {
  await checkGitVersion()
  const place = resolve(path)
  if (!isThere(place)) await makeRepository(place, format)
  return findRepository(place)
}

function isThere(place: string): boolean {
  try {
    return existsSync(place) && (!statSync(place).isDirectory() || readdirSync(place).length > 0)
  } catch (error) {
    throw toStorageError(error, place)
  }
}

async function findRepository(place: string): Promise<Repository> {
  const question = ['rev-parse', '--absolute-git-dir', '--show-object-format']
  const outcome = statSync(place).isDirectory() ? await runGit(place, question) : null
  const [directory = '', format] = outcome?.stdout.toString('utf8').trim().split('\n') ?? []
  // Inside of a repository is not the repository: a directory of something else would be taken for its own.
  const isItself = directory === place || directory === join(place, '.git')
  if (outcome?.code === 0 && isItself && (format === 'sha1' || format === 'sha256')) return { directory, format }
  if (/dubious ownership/.test(outcome?.stderr ?? '')) throw gitFailure('git rev-parse', outcome?.stderr ?? '')
  throw new MeshError('not_a_repository', { detail: `${place} is not empty, and no git repository.` })
}

async function makeRepository(place: string, format: ObjectFormat): Promise<void> {
  const unfinished = `${place}.${process.pid}.new`
  try {
    rmSync(unfinished, { recursive: true, force: true })
    mkdirSync(dirname(place), { recursive: true, mode: 0o700 })
    mkdirSync(unfinished, { mode: 0o700 })
    const init = ['init', '--bare', '--quiet', '--template=', '--initial-branch=main', `--object-format=${format}`, '.']
    await git(unfinished, init)
    appendFileSync(join(unfinished, 'config'), configuration)
    syncTree(unfinished)
    crashPoint('decisions.repository.made')
    renameSync(unfinished, place)
    syncDirectory(dirname(place))
  } catch (error) {
    rmSync(unfinished, { recursive: true, force: true })
    // Somebody else has made it meanwhile.
    const isMade = error instanceof Error && 'code' in error && (error.code === 'ENOTEMPTY' || error.code === 'EEXIST')
    if (!isMade) throw toStorageError(error, place)
  }
}

/** Where each ref below a prefix leads, by what follows the prefix, in order. @throws MeshError `storage_failed` */
export async function listRefs({ directory }: Repository, prefix: string): Promise<ReadonlyMap<string, string>> {
  const listed = await git(directory, ['for-each-ref', '--format=%(objectname) %(refname)', prefix])
  const lines = listed.split('\n').filter((line) => line !== '')
  return new Map(
    lines.map((line): readonly [string, string] => {
      const [id = '', ref = ''] = line.split(' ')
      return [ref.slice(prefix.length), id]
    }),
  )
}

/**
 * Has a branch shown to whoever clones without saying which one, if nobody has been chosen before.
 *
 * @param ref a branch that is there
 */
export async function showBranch({ directory }: Repository, ref: string): Promise<void> {
  const { code } = await runGit(directory, ['rev-parse', '--quiet', '--verify', 'HEAD^{commit}'])
  if (code === 0) return
  const head = join(directory, 'HEAD')
  try {
    // Without a HEAD that can be read there is no repository at all, and git writes it without syncing it.
    writeFileAtomic(head, `ref: ${ref}\n`, { mode: statSync(head).mode & 0o777 })
  } catch {
    // Nothing depends on it: a clone has to name its branch then.
  }
}

/** Syncs every file and directory below a directory, and itself last. */
function syncTree(directory: string): void {
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name)
    if (entry.isDirectory()) syncTree(path)
    else syncFile(path)
  }
  syncDirectory(directory)
}

function syncFile(path: string): void {
  const descriptor = openSync(path, 'r')
  try {
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}
