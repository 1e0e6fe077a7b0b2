/** What was measured on, and how busy it was: without it a figure says little. */
import { readFileSync, realpathSync } from 'node:fs'
import { availableParallelism, cpus, loadavg, release, type as systemName, tmpdir, totalmem } from 'node:os'
import { setTimeout as pause } from 'node:timers/promises'
import { sqliteVersion } from './statements.ts'

export interface Machine {
  readonly processor: string
  readonly processors: number
  readonly memoryGiB: number
  readonly kernel: string
  /** Of the directory in which the databases of the benchmarks are. */
  readonly filesystem: string
  readonly node: string
  readonly sqlite: string
}

/** How busy the machine was over some time. */
export interface Busyness {
  /** Of all processors together, by whatever ran: 1 is all of them all the time. */
  readonly processorShare: number
  /** The system's own count of tasks that run or want to, over the last minute. */
  readonly loadOfLastMinute: number
}

export function describeMachine(): Machine {
  return {
    processor: cpus()[0]?.model.trim() ?? 'unknown',
    processors: availableParallelism(),
    memoryGiB: Math.round((totalmem() / 2 ** 30) * 10) / 10,
    kernel: `${systemName()} ${release()}`,
    filesystem: filesystemOf(realpathSync(tmpdir())),
    node: process.version,
    sqlite: sqliteVersion(),
  }
}

/** The type of the file system that a path is on. Only Linux tells it in a file. */
function filesystemOf(path: string): string {
  if (process.platform !== 'linux') return 'unknown'
  const mounts = readFileSync('/proc/self/mounts', 'utf8')
    .trim()
    .split('\n')
    .map((line) => line.split(' '))
    .filter(([, at = '']) => at === '/' || path === at || path.startsWith(`${at}/`))
    .toSorted(([, a = ''], [, b = '']) => a.length - b.length)
  return mounts.at(-1)?.[2] ?? 'unknown'
}

/** @returns how busy it was from then on until the returned function is called */
export function watchBusyness(): () => Busyness {
  const before = processorTimes()
  return () => {
    const now = processorTimes()
    const share = (now.busy - before.busy) / Math.max(1, now.all - before.all)
    return { processorShare: round(share), loadOfLastMinute: round(loadavg()[0] ?? 0) }
  }
}

/** How busy it is with what others do, before anything is measured. */
export async function busynessAtRest(): Promise<Busyness> {
  const read = watchBusyness()
  await pause(2_000)
  return read()
}

function processorTimes(): { readonly busy: number; readonly all: number } {
  let [busy, all] = [0, 0]
  for (const { times } of cpus()) {
    const sum = times.user + times.nice + times.sys + times.irq
    busy += sum
    all += sum + times.idle
  }
  return { busy, all }
}

function round(value: number): number {
  return Math.round(value * 100) / 100
}
