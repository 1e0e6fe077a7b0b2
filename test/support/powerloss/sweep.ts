/** Cuts the power at many points of one recorded run and looks at what each cut has left. */
import type { CutMode } from './power-cut.ts'
import type { Trace } from './trace.ts'

/** Points of each sweep; each gives one directory in each of the modes. More on demand: docs/durability.md. */
const cutPoints = Number(process.env['CLAUDEMESH_TEST_POWER_CUTS'] ?? 12)

const modes: readonly CutMode[] = ['drop', 'torn', 'subset']

export interface SweepOptions {
  readonly trace: Trace
  readonly seed: number
  /** Looked at beside those that are chosen at random. */
  readonly alsoAt?: readonly number[]
  /** Where each directory is made, one in the place of the other. */
  readonly out: string
  readonly includes?: (path: string) => boolean
  /** Says what is wrong with a directory. `before`: what had been answered by then was answered before the cut. */
  readonly look: (cut: { readonly directory: string; readonly before: bigint }) => Promise<readonly string[]>
}

export interface SweepOutcome {
  readonly images: number
  /** The cut and the first of what is wrong, in each directory where something is. */
  readonly violations: readonly string[]
}

/** The first violations show what a fault does; a fault that is everywhere need not be told of thousands of times. */
const violationsKept = 20

export async function sweep(o: SweepOptions): Promise<SweepOutcome> {
  const { trace, seed, out, includes, look } = o
  const violations: string[] = []
  let images = 0
  const points = new Set([...trace.sample(cutPoints, { seed }), ...(o.alsoAt ?? [])])
  for (const point of [...points].sort((left, right) => left - right)) {
    for (const mode of modes) {
      trace.cut(point, { mode, seed, out, ...(includes === undefined ? {} : { includes }) })
      images += 1
      const [first] = await look({ directory: out, before: trace.timeOf(point) }).catch((error: unknown) => [
        error instanceof Error ? error.message : String(error),
      ])
      if (first !== undefined && violations.length < violationsKept) {
        violations.push(`point ${point}, ${mode}, seed ${seed}: ${first}`)
      }
    }
  }
  return { images, violations }
}
