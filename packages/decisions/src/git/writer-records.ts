/**
 * Who is changing which refs, so that locks which a killed git has left can be told from those of a living one (07 §8).
 *
 * 1. The record is there before git is asked, and goes when git has answered: a lock of a ref that only dead writers have
 *    recorded belongs to one of them.
 * 2. A lock that is older than the running system belongs to nobody either.
 * 3. Any other lock is somebody else's, and is never touched.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { uptime } from 'node:os'
import { join, relative } from 'node:path'
import { FileLock, toStorageError } from '@claudemesh/storage'
import type { Repository } from './repository.ts'

interface WriterRecord {
  readonly pid: number
  /** Tells a process from a later one of the same id; empty where the system does not say. */
  readonly started: string
  readonly refs: readonly string[]
}

/** A git that is just making a lock must have had the time to say so. */
const lockAgeMsMin = 1_000
/** The clock may have been set since the system was started. */
const bootMarginMs = 60_000

export class WriterRecords {
  readonly #repository: Repository
  readonly #directory: string

  constructor(repository: Repository) {
    this.#repository = repository
    this.#directory = join(repository.directory, 'claudemesh', 'writers')
  }

  /**
   * Says that a process changes refs.
   *
   * @throws MeshError `insufficient_storage`, `storage_failed`
   */
  begin(pid: number, refs: readonly string[]): void {
    const path = this.#pathOf(pid)
    try {
      mkdirSync(this.#directory, { recursive: true, mode: 0o700 })
      // Git locks HEAD too while it stands for the ref.
      const record: WriterRecord = { pid, started: startOf(pid), refs: [...refs, 'HEAD'] }
      writeFileSync(path, JSON.stringify(record), { mode: 0o600 })
    } catch (error) {
      throw toStorageError(error, path)
    }
  }

  end(pid: number): void {
    rmSync(this.#pathOf(pid), { force: true })
  }

  /**
   * Removes a lock whose holder is dead.
   *
   * @returns whether there is no lock any more
   */
  removeStaleLock(lockPath: string): boolean {
    // Of two who find the same lock stale, the second would take away the new one of the first.
    const turn = FileLock.acquire(join(this.#repository.directory, 'claudemesh', 'recovery.lock'))
    if (turn === null) return false
    try {
      return this.#removeIfStale(lockPath)
    } finally {
      turn.release()
    }
  }

  #removeIfStale(lockPath: string): boolean {
    const modifiedMs = statSync(lockPath, { throwIfNoEntry: false })?.mtimeMs
    if (modifiedMs === undefined) return true
    const ageMs = Date.now() - modifiedMs
    const ref = relative(this.#repository.directory, lockPath).replace(/\.lock$/, '')
    const named = this.#read().filter(({ refs }) => refs.includes(ref))
    const isLeft = named.length > 0 && !named.some(isAlive) && ageMs > lockAgeMsMin
    if (!isLeft && ageMs < uptime() * 1_000 + bootMarginMs) return false
    rmSync(lockPath, { force: true })
    return true
  }

  #read(): readonly WriterRecord[] {
    return readdirSync(this.#directory).flatMap((name) => {
      try {
        return [JSON.parse(readFileSync(join(this.#directory, name), 'utf8')) as WriterRecord]
      } catch {
        // Ended meanwhile, or killed before it asked for anything.
        return []
      }
    })
  }

  #pathOf(pid: number): string {
    return join(this.#directory, `${pid}.json`)
  }
}

function isAlive({ pid, started }: WriterRecord): boolean {
  try {
    process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
  return startOf(pid) === started
}

/** When a process was started, in ticks since the system was (proc(5), field 22). */
function startOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? ''
  } catch {
    // Not Linux, or gone.
    return ''
  }
}
