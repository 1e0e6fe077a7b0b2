/**
 * How the cost of an operation grows with the rows that are there already.
 *
 * 1. The same tables are filled to each size in turn; at each, every operation is measured several times.
 * 2. A cost is processor time, in the program and in the system: it hardly depends on what else runs, and what an operation
 *    does more of with more rows costs it more of that. Waiting for the disk to have a commit is not in it.
 * 3. The exponent is the slope of log(cost) against log(rows), fitted to the medians: 0 costs the same at every size, 1 is
 *    proportional to the rows, that is a scan. O(log n) from 10^3 to 10^6 rows costs twice as much at the end: 0.1.
 */
import { type Sample, spread } from '../benchmark.ts'

/** An operation whose cost per call is looked at. */
interface Operation {
  readonly name: string
  /** What is done, and what its cost should depend on. */
  readonly about: string
}

/** Tables at one size after the other, and the operations on them. */
export interface GrowingTables {
  /** Brings them to that many rows; never fewer than before. */
  fill(rows: number): void | Promise<void>
  /** Microseconds of processor time of one call of every operation. It leaves as many rows as there were, give or take a few thousand. */
  measure(): Sample | Promise<Sample>
  close(): void | Promise<void>
}

export interface Growth {
  readonly name: string
  /** What the rows are. */
  readonly unit: string
  readonly operations: readonly Operation[]
  prepare(): GrowingTables | Promise<GrowingTables>
}

interface CostAtSize {
  readonly rows: number
  readonly median: number
  readonly min: number
  readonly max: number
}

/** What came out for one operation: microseconds of processor time a call at each size, and the exponent. */
export interface Slope extends Operation {
  readonly growth: string
  readonly unit: string
  readonly costs: readonly CostAtSize[]
  readonly exponent: number
}

/** Of one that is named, and of those that run with all the rest. */
const sizes = { whenAlone: [1_000, 100_000, 1_000_000], inWholeRun: [1_000, 10_000, 100_000] }

/** Noise and a colder cache at a larger size included; a scan of 10^6 rows is far beyond. */
export const exponentAtMost = 0.2

const runs = 7

/** Measures one growth at every size. */
export async function runGrowth(growth: Growth, run: keyof typeof sizes): Promise<readonly Slope[]> {
  const tables = await growth.prepare()
  try {
    const atSizes: { rows: number; samples: Sample[] }[] = []
    for (const rows of sizes[run]) {
      await tables.fill(rows)
      await tables.measure()
      const samples: Sample[] = []
      for (let turn = 0; turn < runs; turn += 1) samples.push(await tables.measure())
      atSizes.push({ rows, samples })
    }
    return growth.operations.map((operation) => {
      const costs = atSizes.map(({ rows, samples }) => ({ rows, ...spread(samples.map(costOf(operation.name))) }))
      return { growth: growth.name, unit: growth.unit, ...operation, costs, exponent: exponentOf(costs) }
    })
  } finally {
    await tables.close()
  }
}

function costOf(operation: string): (sample: Sample) => number {
  return (sample) => {
    const cost = sample[operation]
    if (cost === undefined || !(cost > 0)) throw new Error(`nothing was measured for ${operation}`)
    return cost
  }
}

/** The least-squares slope through the points on paper that is logarithmic both ways. */
function exponentOf(costs: readonly Pick<CostAtSize, 'rows' | 'median'>[]): number {
  const points = costs.map(({ rows, median }) => ({ x: Math.log(rows), y: Math.log(median) }))
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length
  const [meanX, meanY] = [mean(points.map(({ x }) => x)), mean(points.map(({ y }) => y))]
  const covariance = mean(points.map(({ x, y }) => (x - meanX) * (y - meanY)))
  return covariance / mean(points.map(({ x }) => (x - meanX) ** 2))
}

/** Microseconds of processor time of one call, on average over several. */
export function microsecondsPerCall(calls: number, call: (index: number) => void): number {
  const before = process.cpuUsage()
  for (let index = 0; index < calls; index += 1) call(index)
  return spentSince(before) / calls
}

/** The same of calls that take turns of the event loop. */
export async function microsecondsPerTurn(calls: number, call: (index: number) => Promise<void>): Promise<number> {
  const before = process.cpuUsage()
  for (let index = 0; index < calls; index += 1) await call(index)
  return spentSince(before) / calls
}

function spentSince(before: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(before)
  return Math.max(1, user + system)
}
