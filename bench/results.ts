/** The file of a run: what came out, on what, and how busy that was. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Outcome } from './benchmark.ts'
import type { Slope } from './growth/growth.ts'
import type { Busyness, Machine } from './machine.ts'

/** When and beside what something was measured. */
interface Circumstances {
  /** ISO 8601. */
  readonly at: string
  readonly seconds: number
  readonly before: Busyness
  readonly during: Busyness
}

export interface Results {
  readonly machine: Machine
  readonly outcomes: readonly (Outcome & Circumstances)[]
  readonly slopes: readonly (Slope & Circumstances)[]
}

/** Writes the results of a run, as far as it has come, to a file of their own. @returns its path */
export function keepRun(startedAt: Date, results: Results): string {
  const path = join(process.cwd(), 'bench', 'results', `${startedAt.toISOString().replaceAll(':', '-')}.json`)
  write(path, results)
  return path
}

/**
 * Takes the results of runs into a file of several: what was measured again replaces what was there.
 *
 * @throws Error when they come from another machine, since they would stand in one table
 */
export function mergeInto(path: string, runs: readonly string[]): Results {
  const all = [path, ...runs].filter((file) => existsSync(file) || file !== path).map(read)
  const [first] = all
  if (first === undefined) throw new Error(`${path} is not there, and no results were named`)
  const newest = all.at(-1) ?? first
  const other = all.find(({ machine }) => JSON.stringify(machine) !== JSON.stringify(newest.machine))
  if (other !== undefined)
    throw new Error(`results of two machines: ${JSON.stringify([other.machine, newest.machine])}`)
  const merged = {
    machine: newest.machine,
    outcomes: latest(
      all.flatMap(({ outcomes }) => outcomes),
      ({ name }) => name,
    ),
    slopes: latest(
      all.flatMap(({ slopes }) => slopes),
      ({ growth, name }) => `${growth} ${name}`,
    ),
  }
  if (runs.length > 0) write(path, merged)
  return merged
}

function latest<T>(items: readonly T[], key: (item: T) => string): readonly T[] {
  return [...new Map(items.map((item) => [key(item), item])).values()]
}

function read(path: string): Results {
  return JSON.parse(readFileSync(path, 'utf8')) as Results
}

function write(path: string, results: Results): void {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, `${JSON.stringify(results, null, 2)}\n`)
}
