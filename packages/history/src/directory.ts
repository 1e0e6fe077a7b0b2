/**
 * The files of a history:
 *
 *     history/seqs.json                       the mark of its counter
 *     history/<dataset>/<source>/current      the name of the generation in force
 *     history/<dataset>/<source>/gen-<n>.db   a generation
 *
 * 1. A partition is made beside its place and renamed, so that one without `current` is not unfinished but damaged.
 * 2. `current` is replaced whole. Generations that it does not name are left from a compaction that was killed, before it
 *    or after; either way they hold nothing that the one in force does not, and are removed at the next start.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { MeshError } from '@claudemesh/protocol'
import {
  closeDatabase,
  crashPoint,
  ensurePrivateDirectory,
  openDatabase,
  syncDirectory,
  toStorageError,
  writeFileAtomic,
} from '@claudemesh/storage'
import { migrations, removeGeneration } from './generation.ts'
import { formatPartition, type Partition, parsePartition } from './partition.ts'

const pointer = 'current'
const generationRegExp = /^gen-([1-9][0-9]{0,8})\.db$/
/** How the name of a partition begins that is being made. */
const unfinished = '.new-'

/** The partitions that are there, by name. What another start left unfinished is removed. */
export function listPartitions(directory: string): readonly Partition[] {
  const found: Partition[] = []
  for (const dataset of listDirectories(directory)) {
    for (const source of listDirectories(join(directory, dataset))) {
      const partition = parsePartition(`${dataset}/${source}`)
      if (partition !== null) found.push(partition)
      else if (source.startsWith(unfinished)) {
        rmSync(join(directory, dataset, source), { recursive: true, force: true })
      }
    }
  }
  return found.sort((one, other) => (formatPartition(one) < formatPartition(other) ? -1 : 1))
}

/** Makes an empty partition. @throws MeshError as `openDatabase` */
export function createPartition(directory: string, now: () => number): void {
  const parent = dirname(directory)
  ensurePrivateDirectory(parent)
  const beside = join(parent, `${unfinished}${basename(directory)}`)
  rmSync(beside, { recursive: true, force: true })
  try {
    mkdirSync(beside, { mode: 0o700 })
    closeDatabase(openDatabase({ path: join(beside, 'gen-1.db'), migrations, now }))
    writeFileAtomic(join(beside, pointer), 'gen-1.db\n', { mode: 0o600 })
    crashPoint('history.partition.before_rename')
    renameSync(beside, directory)
    syncDirectory(parent)
    crashPoint('history.partition.made')
  } catch (error) {
    throw toStorageError(error, directory)
  }
}

/**
 * The file of the generation in force.
 *
 * @throws MeshError `history_damaged` when it cannot be told
 */
export function currentGeneration(directory: string): string {
  const path = join(directory, pointer)
  const name = existsSync(path) ? readFileSync(path, 'utf8').trimEnd() : null
  if (name === null) throw damaged(directory, `${path} is missing`)
  if (!generationRegExp.test(name)) throw damaged(directory, `${path} names no generation`)
  if (!existsSync(join(directory, name))) throw damaged(directory, `${path} names ${name}, which is missing`)
  return join(directory, name)
}

/** Where the next generation goes. */
export function nextGeneration(current: string): string {
  const number = Number(generationRegExp.exec(basename(current))?.[1])
  return join(dirname(current), `gen-${number + 1}.db`)
}

/** Puts a generation in force. When this returns, it is so after any crash. */
export function pointTo(path: string): void {
  writeFileAtomic(join(dirname(path), pointer), `${basename(path)}\n`, { mode: 0o600 })
}

/** Removes what compactions left that were killed. */
export function removeOthers(current: string): void {
  for (const path of listGenerations(dirname(current))) if (path !== current) removeGeneration(path)
}

/** The files of a partition that are generations, in force or not. */
export function listGenerations(directory: string): readonly string[] {
  const names = readdirSync(directory).filter((name) => generationRegExp.test(name))
  return names.map((name) => join(directory, name))
}

function listDirectories(path: string): readonly string[] {
  if (!existsSync(path)) return []
  return readdirSync(path, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
}

function damaged(directory: string, detail: string): MeshError {
  const there = listGenerations(directory).map((path) => basename(path))
  const found = there.length === 0 ? 'no generation is there' : `there is ${there.sort().join(', ')}`
  return new MeshError('history_damaged', { detail: `${detail}; ${found}`, data: { path: directory } })
}
