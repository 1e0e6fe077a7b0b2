/**
 * Opens a database whose content can be had again elsewhere. A damaged file is moved aside and an empty one takes its
 * place, so that damage costs a refetch and never the start.
 *
 * 1. Nothing is deleted: `x.db` becomes `x.db.corrupt-<time>`, its journal and shared memory go with it.
 * 2. A journal never meets a database that is not its own. A crash between the renames leaves at worst a journal
 *    without a database, which is moved before anything is opened.
 * 3. A database of a newer schema is not damaged: it is refused, not replaced.
 *
 * The outbox is not opened this way: what it holds exists nowhere else.
 */
import { existsSync, readdirSync, renameSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { MeshError } from '@claudemesh/protocol'
import { type Database, type OpenDatabaseOptions, openDatabase, syncDirectory } from '@claudemesh/storage'

export interface ReplaceableDatabase {
  readonly db: Database
  /** The damaged file that was moved aside most recently, now or at an earlier start; null when there is none. */
  readonly predecessor: string | null
}

/**
 * @throws MeshError `schema_too_new`, or what opening an empty database throws
 */
export function openReplaceable(options: OpenDatabaseOptions): ReplaceableDatabase {
  const { path, now } = options
  if (!existsSync(path)) moveAside(path, now())
  try {
    return { db: openDatabase(options), predecessor: findPredecessor(path) }
  } catch (error) {
    if (!(error instanceof MeshError) || error.code !== 'database_corrupt') throw error
  }
  moveAside(path, now())
  return { db: openDatabase(options), predecessor: findPredecessor(path) }
}

/** The database first: once it has moved, invariant 2 covers what follows. */
const companions = ['', '-wal', '-shm'] as const

/**
 * Moves a database and its companions to names that say when.
 *
 * @returns the new path, null when there was nothing
 */
export function moveAside(path: string, now: number): string | null {
  const present = companions.filter((suffix) => existsSync(path + suffix))
  if (present.length === 0) return null
  const target = unusedName(path, now)
  for (const suffix of present) renameSync(path + suffix, target + suffix)
  syncDirectory(dirname(path))
  return target
}

function unusedName(path: string, now: number): string {
  for (let time = now; ; time += 1) {
    const name = `${path}.corrupt-${new Date(time).toISOString().replaceAll(/[-:.]/g, '')}`
    if (!companions.some((suffix) => existsSync(name + suffix))) return name
  }
}

function findPredecessor(path: string): string | null {
  const prefix = `${basename(path)}.corrupt-`
  const names = readdirSync(dirname(path)).filter(
    (name) => name.startsWith(prefix) && /^\d{8}T\d{9}Z$/.test(name.slice(prefix.length)),
  )
  const latest = names.sort().at(-1)
  return latest === undefined ? null : join(dirname(path), latest)
}
