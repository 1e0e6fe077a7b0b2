/**
 * A directory that comes to be all at once (06 §9): files are written into a fresh one beside it, which takes its name
 * when everything in it is there.
 *
 * 1. A path is checked again here, whoever says that it is a good one.
 * 2. Nothing that others made is opened, and no link is followed: every directory on the way was made by this tree, and
 *    every file is made by its opening.
 * 3. The name is taken from nobody: what is there already, unless it is an empty directory, stays.
 * 4. When `finish` returns, all of it survives a power cut. A failure leaves nothing; a kill leaves a directory whose
 *    name begins with a dot and ends with `.partial`, which nothing reads.
 */
import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { lstat, mkdir, open, readdir, rename, rm } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { ArtifactError, normalizeRelativePath } from '@claudemesh/artifacts'
import { crashPoint, syncDirectory } from '@claudemesh/storage'

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } = constants

export class NewTree {
  readonly #target: string
  readonly #fresh: string
  /** Every directory that this tree makes, and when it is made. */
  readonly #directories: Map<string, Promise<void>>

  /** @throws ArtifactError `invalid_target`, and what the system says against the place */
  static async create(path: string): Promise<NewTree> {
    const target = resolve(path)
    await assertFree(target, path)
    const fresh = join(dirname(target), `.${basename(target)}.${randomBytes(6).toString('hex')}.partial`)
    await mkdir(fresh, { mode: 0o700 })
    return new NewTree(target, fresh)
  }

  private constructor(target: string, fresh: string) {
    this.#target = target
    this.#fresh = fresh
    this.#directories = new Map([[fresh, Promise.resolve()]])
  }

  /**
   * Writes one file and syncs it.
   *
   * @param relativePath segments parted by `/`
   * @throws ArtifactError `invalid_path`, `path_collision`; errors of the source and of the system as they are
   */
  async write(relativePath: string, source: AsyncIterable<Uint8Array>): Promise<void> {
    // The systems that this runs on tell paths apart as POSIX does; where a disk does not, the file is there already.
    const segments = normalizeRelativePath(relativePath, 'posix').relative_path.split('/')
    let directory = this.#fresh
    for (const segment of segments.slice(0, -1)) {
      directory = join(directory, segment)
      await this.#makeDirectory(directory, relativePath)
    }
    const path = join(directory, segments.at(-1) ?? '')
    const handle = await open(path, O_CREAT | O_EXCL | O_NOFOLLOW | O_WRONLY, 0o600).catch((error: unknown) => {
      throw isErrno(error, 'EEXIST') ? collision(relativePath) : error
    })
    try {
      for await (const chunk of source) await handle.appendFile(chunk)
      await handle.sync()
    } finally {
      await handle.close()
    }
  }

  /** Gives the tree its name. @throws ArtifactError `invalid_target` */
  async finish(): Promise<void> {
    for (const directory of this.#directories.keys()) syncDirectory(directory)
    crashPoint('cli.tree.before_rename')
    // Takes the place of an empty directory and of nothing else.
    await rename(this.#fresh, this.#target).catch((error: unknown) => {
      throw isErrno(error, 'ENOTEMPTY') || isErrno(error, 'EEXIST') || isErrno(error, 'ENOTDIR')
        ? taken(this.#target)
        : error
    })
    syncDirectory(dirname(this.#target))
  }

  /** Removes everything that was written. */
  async discard(): Promise<void> {
    await rm(this.#fresh, { recursive: true, force: true })
  }

  #makeDirectory(path: string, relativePath: string): Promise<void> {
    const making =
      this.#directories.get(path) ??
      mkdir(path, { mode: 0o700 }).catch((error: unknown) => {
        throw isErrno(error, 'EEXIST') ? collision(relativePath) : error
      })
    this.#directories.set(path, making)
    return making
  }
}

/** @throws ArtifactError `invalid_target` */
async function assertFree(target: string, path: string): Promise<void> {
  const stats = await lstat(target).catch((error: unknown) => {
    if (isErrno(error, 'ENOENT')) return null
    throw error
  })
  if (stats === null) return
  if (!stats.isDirectory() || (await readdir(target)).length > 0) throw taken(path)
}

function taken(path: string): ArtifactError {
  return new ArtifactError('invalid_target', { detail: `${path} exists and is not an empty directory.` })
}

function collision(path: string): ArtifactError {
  return new ArtifactError('path_collision', {
    detail: `${path} cannot stand beside another file of the package here.`,
  })
}

function isErrno(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}
