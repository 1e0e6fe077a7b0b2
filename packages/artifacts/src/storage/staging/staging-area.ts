/**
 * Where files are written before they have an address: `<root>/.tmp/<ulid>`, one directory for each open store, locked as
 * long as it is open. What a killed process left there goes at the next start.
 */
import { mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isUlid } from '@claudemesh/protocol'
import { FileLock, isLocked } from '@claudemesh/storage'
import { StagedFile } from './staged-file.ts'

const lockName = 'lock'
const unnamedPrefix = 'new-'
/** A directory that was never locked belongs to a process that died in the instant of making it. */
const unnamedMsMax = 24 * 3_600_000

export class StagingArea {
  readonly #directory: string
  readonly #lock: FileLock
  readonly #nextId: () => string

  /** Takes a directory of its own, and removes those that nobody holds. */
  static open(o: { readonly root: string; readonly nextId: () => string; readonly now: () => number }): StagingArea {
    const parent = join(o.root, '.tmp')
    mkdirSync(parent, { recursive: true, mode: 0o700 })
    if (statSync(parent).dev !== statSync(o.root).dev) {
      throw new Error('the staging directory is on another file system than the objects: a rename could not publish')
    }
    removeLeftovers(parent, o.now())
    // Locked before it has the name by which others look at it: nobody sees one that is not held yet.
    const id = o.nextId()
    const unnamed = join(parent, `${unnamedPrefix}${id}`)
    mkdirSync(unnamed, { mode: 0o700 })
    const lock = FileLock.acquire(join(unnamed, lockName))
    if (lock === null) throw new Error('a staging directory that was just made is held by somebody else')
    const directory = join(parent, id)
    renameSync(unnamed, directory)
    return new StagingArea({ directory, lock, nextId: o.nextId })
  }

  private constructor(o: { directory: string; lock: FileLock; nextId: () => string }) {
    this.#directory = o.directory
    this.#lock = o.lock
    this.#nextId = o.nextId
  }

  create(o: { readonly syncEvery?: number } = {}): Promise<StagedFile> {
    return StagedFile.create(join(this.#directory, this.#nextId()), o)
  }

  /** Writes something and removes it: whether that can be done. @throws what the file system says */
  async probe(): Promise<void> {
    const path = join(this.#directory, `probe-${this.#nextId()}`)
    try {
      await writeFile(path, 'probe', { flag: 'wx', mode: 0o600 })
    } finally {
      await rm(path, { force: true })
    }
  }

  /** Removes the directory and what is still in it. */
  close(): void {
    this.#lock.release()
    rmSync(this.#directory, { recursive: true, force: true })
  }
}

function removeLeftovers(parent: string, now: number): void {
  for (const name of readdirSync(parent)) {
    const path = join(parent, name)
    const isLeft = isUlid(name)
      ? !isLocked(join(path, lockName))
      : name.startsWith(unnamedPrefix) && now - statSync(path).mtimeMs > unnamedMsMax
    if (isLeft) rmSync(path, { recursive: true, force: true })
  }
}
