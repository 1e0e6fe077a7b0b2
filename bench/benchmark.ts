/**
 * What a benchmark is: a subject and its limit, measured in turn in the same run.
 *
 * 1. A figure is the ratio of the two in one round. The machine is shared and noisy: an absolute time says how busy it
 *    was, a ratio says what our code costs.
 * 2. Within a round each side goes first every other time, so that noise hits both.
 * 3. The first round only warms up. Of the others the median counts, and the extremes are shown.
 */

/** Which ratios are good enough. */
type Target = { readonly atLeast: number } | { readonly atMost: number }

/** A ratio that a benchmark gives. A benchmark may give several from one measurement. */
interface Figure {
  readonly name: string
  /** Subject against limit, in a few words. */
  readonly about: string
  readonly target: Target
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

export interface Benchmark {
  readonly name: string
  readonly figures: readonly Figure[]
  prepare(): Contest | Promise<Contest>
}

/** The ratios of one figure over all rounds. */
export interface Outcome {
  readonly figure: string
  readonly about: string
  readonly target: Target
  readonly median: number
  readonly min: number
  readonly max: number
  readonly ratios: readonly number[]
  readonly notes: readonly string[]
}

const rounds = 7

/** Runs one benchmark. */
export async function run(benchmark: Benchmark): Promise<readonly Outcome[]> {
  const contest = await benchmark.prepare()
  try {
    await playRound(contest, 0)
    const played: Round[] = []
    for (let round = 0; round < rounds; round += 1) played.push(await playRound(contest, round))
    const notes = contest.notes?.() ?? []
    return benchmark.figures.map((figure, index) => toOutcome(figure, played, index === 0 ? notes : []))
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

function toOutcome(figure: Figure, played: readonly Round[], notes: readonly string[]): Outcome {
  const ratios = played.map(({ subject, limit }) => read(subject, figure.name) / read(limit, figure.name))
  const sorted = ratios.toSorted((a, b) => a - b)
  return {
    figure: figure.name,
    about: figure.about,
    target: figure.target,
    median: quantile(sorted, 0.5),
    min: quantile(sorted, 0),
    max: quantile(sorted, 1),
    ratios,
    notes,
  }
}

function read(sample: Sample, figure: string): number {
  const value = sample[figure]
  if (value === undefined || !(value > 0)) throw new Error(`nothing was measured for ${figure}`)
  return value
}

/** @param sorted ascending, not empty */
export function quantile(sorted: readonly number[], share: number): number {
  const value = sorted[Math.round((sorted.length - 1) * share)]
  if (value === undefined) throw new Error('there is no quantile of nothing')
  return value
}

/** Whether the median reaches its target. */
export function isReached({ median, target }: Outcome): boolean {
  return 'atLeast' in target ? median >= target.atLeast : median <= target.atMost
}
