/**
 * The record of a run, and the directory as a cut of the power at any of its moments could have left it.
 *
 * Point k: the changes 1 to k happened, and k + 1 did not. What was acknowledged before `timeOf(k)` counts.
 */
import { chmodSync, linkSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createRandom } from '../seed.ts'
import { DiskModel, type Inode, rootInode } from './disk-model.ts'
import { type CutMode, contentAfter, namesAfter, type RandomBelow } from './power-cut.ts'
import { type RecordedRun, readRecords, type TraceRecord } from './records.ts'

export interface CutOptions {
  readonly mode: CutMode
  /** The same seed, point and mode give the same directory. */
  readonly seed: number
  /** Emptied, then the directory as it is after the cut. */
  readonly out: string
  /** Which files are written, by their path in the directory. Default: all but the shared memory of SQLite. */
  readonly includes?: (path: string) => boolean
}

/** SQLite's index of its log, mapped into memory and made anew by whoever opens the database first. */
const isSharedMemory = /-shm$/

export class Trace {
  readonly #run: RecordedRun
  /** Moves forward with the points that are asked for, and begins again when one is earlier. */
  #played: { readonly model: DiskModel; point: number }

  /** @throws Error when the file is no trace */
  constructor(path: string) {
    this.#run = readRecords(path)
    this.#played = { model: this.#modelOfBase(), point: 0 }
  }

  /** The number of the last point; the first is 0. */
  get points(): number {
    return this.#run.records.length
  }

  get records(): readonly TraceRecord[] {
    return this.#run.records
  }

  /** What had been answered by then was answered before the cut: nanoseconds, as `process.hrtime.bigint()` has them. */
  timeOf(point: number): bigint {
    return this.records[point]?.startedAt ?? this.#run.endedAt ?? 1n << 63n
  }

  /** The last point whose changes had begun by then. */
  pointAt(time: bigint): number {
    const next = this.records.findIndex(({ startedAt }) => startedAt > time)
    return next === -1 ? this.points : next
  }

  /** Points at random, ascending, none before `from`; every point when there are no more than that. */
  sample(count: number, { seed, from = 0 }: { readonly seed: number; readonly from?: number }): readonly number[] {
    const candidates = this.points - from + 1
    if (count >= candidates) return Array.from({ length: candidates }, (_, index) => from + index)
    const next = createRandom(seed)
    const chosen = new Set<number>()
    while (chosen.size < count) chosen.add(from + Math.floor(next() * candidates))
    return [...chosen].sort((left, right) => left - right)
  }

  /** Writes the directory as it is after a cut at that point. Ascending points are cheap. */
  cut(point: number, { mode, seed, out, includes = (path) => !isSharedMemory.test(path) }: CutOptions): void {
    const model = this.#modelAt(point)
    const next = createRandom(seed * 7919 + point)
    const random: RandomBelow = (bound) => Math.floor(next() * bound)
    const tree = namesAfter(model, mode, random)
    rmSync(out, { recursive: true, force: true })
    mkdirSync(out, { recursive: true, mode: 0o700 })
    const written = new Map<number, string>()
    const write = (directory: number, path: string) => {
      for (const [name, id] of [...(tree.get(directory) ?? [])].sort(byName)) {
        const inode = model.inodes.get(id)
        const own = join(path, name)
        // A name of a directory that is not durable in two places at once would be a file system with a loop.
        if (inode === undefined || (inode.kind === 'directory' && written.has(id))) continue
        if (inode.kind !== 'directory' && !includes(own)) continue
        writeInode({ inode, path: join(out, own), twin: written.get(id) ?? null }, { mode, random })
        written.set(id, join(out, own))
        if (inode.kind === 'directory') write(id, own)
      }
    }
    write(rootInode, '')
  }

  #modelOfBase(): DiskModel {
    return new DiskModel(this.#run.base, this.#run.rootMode)
  }

  #modelAt(point: number): DiskModel {
    if (this.#played.point > point) this.#played = { model: this.#modelOfBase(), point: 0 }
    for (const record of this.records.slice(this.#played.point, point)) this.#played.model.apply(record)
    this.#played.point = point
    return this.#played.model
  }
}

function byName([left]: readonly [string, number], [right]: readonly [string, number]): number {
  return left < right ? -1 : 1
}

/** @param place `twin`: another name of the same file, written before */
function writeInode(
  { inode, path, twin }: { readonly inode: Inode; readonly path: string; readonly twin: string | null },
  { mode, random }: { readonly mode: CutMode; readonly random: RandomBelow },
): void {
  switch (inode.kind) {
    case 'directory':
      // Whoever looks at it must be able to write into it.
      mkdirSync(path)
      chmodSync(path, (inode.mode & 0o7777) | 0o700)
      break
    case 'link':
      symlinkSync(inode.target, path)
      break
    case 'file':
      if (twin !== null) linkSync(twin, path)
      else {
        writeFileSync(path, contentAfter(inode, mode, random))
        chmodSync(path, inode.mode & 0o7777)
      }
      break
    case 'other':
      // A socket without its listener.
      break
    default:
      inode.kind satisfies never
  }
}
