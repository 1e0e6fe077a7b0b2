/**
 * One generation: a database with the rows of a partition, until a compaction puts another in its place.
 *
 * 1. Whoever reads holds it. It is closed, and its file removed when another has taken its place, once the last has gone.
 * 2. Commits are not synced one by one: everything in it can be recorded again from where it came, with the cursors that lie
 *    beside it, and gets other seqs then. `Partition.newestSeq` syncs what it promises to a reader.
 */
import { rmSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { closeDatabase, type Database, openDatabase, syncDirectory, toStorageError } from '@claudemesh/storage'
import { type GenerationStatements, prepareStatements } from './statements.ts'

export const migrations = new URL('./schema/', import.meta.url)

export class Generation {
  readonly path: string
  readonly db: Database
  readonly sql: GenerationStatements
  #readers = 0
  #isRetired = false
  #removal: Promise<void> = Promise.resolve()

  /** @throws MeshError as `openDatabase` */
  static open(o: { readonly path: string; readonly now: () => number; readonly isChecked?: boolean }): Generation {
    const { path, now, isChecked = false } = o
    return new Generation(path, openDatabase({ path, migrations, now, syncs: 'checkpoints', isChecked }))
  }

  private constructor(path: string, db: Database) {
    this.path = path
    this.db = db
    this.sql = prepareStatements(db)
  }

  /** Keeps it until `release`. */
  hold(): void {
    this.#readers += 1
  }

  release(): void {
    this.#readers -= 1
    this.#endIfLast()
  }

  /** Closes it; whoever still reads is told so. */
  close(): void {
    closeDatabase(this.db)
  }

  /** Done when its file is gone, if that was begun. */
  get removal(): Promise<void> {
    return this.#removal
  }

  /** Closes it at once, and leaves its file. */
  abandon(): void {
    this.db.close()
  }

  /** Closes it once nobody reads, and removes its file. */
  retire(): void {
    this.#isRetired = true
    this.#endIfLast()
  }

  #endIfLast(): void {
    if (!this.#isRetired || this.#readers > 0 || !this.db.open) return
    // Nothing in it is needed any more: what its log holds need not be moved into it.
    this.db.close()
    this.#removal = removeInBackground(this.path)
  }
}

const suffixes = ['-wal', '-shm', '-journal', '']

/** To give back the space of a large file takes a file system longer than an append may wait. */
async function removeInBackground(path: string): Promise<void> {
  try {
    for (const suffix of suffixes) await rm(`${path}${suffix}`, { force: true })
  } catch {
    // Nothing refers to it: the next start removes it.
  }
}

/** Removes a generation that nothing refers to. @throws MeshError `storage_failed` */
export function removeGeneration(path: string): void {
  try {
    for (const suffix of suffixes) rmSync(`${path}${suffix}`, { force: true })
    syncDirectory(dirname(path))
  } catch (error) {
    throw toStorageError(error, path)
  }
}
