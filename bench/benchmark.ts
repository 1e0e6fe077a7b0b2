/**
 * What a benchmark is: a subject and its limit, measured in turn in the same run.
 *
 * 1. A figure is the ratio of the two in one round. The machine is shared and noisy: an absolute time says how busy it
 *    was, a ratio says what our code costs.
 * 2. Within a round each side goes first every other time, so that noise hits both.
 * 3. The first round only warms up. Of the others the median counts, and the extremes are shown.
 */

/** Which ratios are good enough. */
export type Target = { readonly atLeast: number } | { readonly atMost: number }

/** A ratio that a benchmark gives. A benchmark may give several from one measurement. */
interface Figure {
  readonly name: string
  /** Subject against limit, in a few words. */
  readonly about: string
  readonly target: Target
  /** What the figure counts when its limit is a unit, such as a mebibyte or a second, and not something measured. */
  readonly unit?: string
}

/** What one side did in one round: figure name to a rate or a duration, the same kind for both sides. */
export type Sample = Readonly<Record<string, number>>

/** A subject and its limit, set up and ready to be measured in turn. */
export interface Contest {
  subject(): Sample | Promise<Sample>
  limit(): Sample | Promise<Sample>
  /** What else a reader should know of the measurement, such as how busy the load generator was. */
  notes?(): readonly string[]
  close?(): void | Promise<void>
}

interface Described {
  readonly name: string
  /** One line: what the subject is held against, and why nothing could be much better. */
  readonly limit: string
  readonly figures: readonly Figure[]
  /** Seven unless said otherwise. Where it is one, none is played to warm up. */
  readonly rounds?: number
}

interface FixedBenchmark extends Described {
  prepare(): Contest | Promise<Contest>
}

/** One whose cost is in the size of what it works on: smaller when it runs with all the others. */
interface SizedBenchmark extends Described {
  readonly size: { readonly unit: string; readonly whenAlone: number; readonly inWholeRun: number }
  prepare(size: number): Contest | Promise<Contest>
}

export type Benchmark = FixedBenchmark | SizedBenchmark

/** The ratios of one figure over all rounds. */
export interface Outcome extends Figure {
  readonly benchmark: string
  readonly limit: string
  /** Such as "100000 rows"; null when it has none. */
  readonly size: string | null
  readonly median: number
  readonly min: number
  readonly max: number
  readonly ratios: readonly number[]
  readonly notes: readonly string[]
}

const rounds = 7

/** Runs one benchmark. @param size of no meaning to a benchmark that has none */
export async function runBenchmark(benchmark: Benchmark, size: number): Promise<readonly Outcome[]> {
  const contest = await ('size' in benchmark ? benchmark.prepare(size) : benchmark.prepare())
  try {
    if (benchmark.rounds !== 1) await playRound(contest, 0)
    const played: Round[] = []
    for (let round = 0; round < (benchmark.rounds ?? rounds); round += 1) played.push(await playRound(contest, round))
    const notes = contest.notes?.() ?? []
    const sizeText = 'size' in benchmark ? `${size.toLocaleString('en')} ${benchmark.size.unit}` : null
    return benchmark.figures.map((figure, index) => ({
      benchmark: benchmark.name,
      limit: benchmark.limit,
      size: sizeText,
      ...figure,
      ...compare(figure.name, played),
      notes: index === 0 ? notes : [],
    }))
  } finally {
    await contest.close?.()
  }
}

interface Round {
  readonly subject: Sample
  readonly limit: Sample
}

async function playRound(contest: Contest, round: number): Promise<Round> {
  if (round % 2 === 0) {
    const subject = await contest.subject()
    return { subject, limit: await contest.limit() }
  }
  const limit = await contest.limit()
  return { subject: await contest.subject(), limit }
}

function compare(figure: string, played: readonly Round[]) {
  const ratios = played.map(({ subject, limit }) => read(subject, figure) / read(limit, figure))
  return { ...spread(ratios), ratios }
}

function read(sample: Sample, figure: string): number {
  const value = sample[figure]
  if (value === undefined || !(value > 0)) throw new Error(`nothing was measured for ${figure}`)
  return value
}

/** What is told of several measurements of the same thing. */
export function spread(values: readonly number[]) {
  const sorted = values.toSorted((a, b) => a - b)
  return { median: quantile(sorted, 0.5), min: quantile(sorted, 0), max: quantile(sorted, 1) }
}

/** @param sorted ascending, not empty */
export function quantile(sorted: readonly number[], share: number): number {
  const value = sorted[Math.round((sorted.length - 1) * share)]
  if (value === undefined) throw new Error('there is no quantile of nothing')
  return value
}

/** Whether the median reaches its target. */
export function isReached({ median, target }: Pick<Outcome, 'median' | 'target'>): boolean {
  return 'atLeast' in target ? median >= target.atLeast : median <= target.atMost
}
