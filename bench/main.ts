// `npm run bench [-- name ...]`: runs the benchmarks named, or all of them, prints a table and keeps the figures.
import { mkdirSync, writeFileSync } from 'node:fs'
import { availableParallelism, cpus } from 'node:os'
import { join } from 'node:path'
import { accept } from './accept.ts'
import { acceptBatch } from './accept-batch.ts'
import { acceptOne } from './accept-one.ts'
import { type Benchmark, isReached, type Outcome, run } from './benchmark.ts'
import { brokerAccept } from './broker-accept.ts'
import { cliStart } from './cli-start.ts'
import { endToEnd } from './end-to-end.ts'
import { latency } from './latency.ts'
import { sealing } from './sealing.ts'

const benchmarks: readonly Benchmark[] = [
  sealing,
  accept,
  acceptBatch,
  acceptOne,
  brokerAccept,
  cliStart,
  endToEnd,
  latency,
]

const names = process.argv.slice(2)
const unknown = names.filter((name) => !benchmarks.some((benchmark) => benchmark.name === name))
if (unknown.length > 0) {
  console.error(
    `no benchmark is called ${unknown.join(', ')}; there are ${benchmarks.map(({ name }) => name).join(', ')}`,
  )
  process.exit(2)
}

const outcomes: Outcome[] = []
for (const benchmark of benchmarks) {
  if (names.length > 0 && !names.includes(benchmark.name)) continue
  const measured = await run(benchmark)
  outcomes.push(...measured)
  for (const outcome of measured) show(outcome)
}
keep(outcomes)

function show(outcome: Outcome): void {
  const { target } = outcome
  const wanted = 'atLeast' in target ? `>= ${target.atLeast}` : `<= ${target.atMost}`
  const columns = [
    outcome.figure.padEnd(14),
    format(outcome.median),
    `${format(outcome.min)} ..${format(outcome.max)}`,
    wanted.padEnd(8),
    isReached(outcome) ? 'reached' : 'missed ',
    outcome.about,
  ]
  console.log(columns.join('  '))
  for (const note of outcome.notes) console.log(`${' '.repeat(16)}${note}`)
}

function format(ratio: number): string {
  return ratio.toFixed(3).padStart(7)
}

/** Beside the figures stands what they were measured on, without which they say little. */
function keep(outcomes: readonly Outcome[]): void {
  const at = new Date().toISOString()
  const machine = { processors: availableParallelism(), model: cpus()[0]?.model ?? 'unknown', node: process.version }
  const directory = join(process.cwd(), 'bench', 'results')
  mkdirSync(directory, { recursive: true })
  const path = join(directory, `${at.replaceAll(':', '-')}.json`)
  writeFileSync(path, `${JSON.stringify({ at, machine, outcomes }, null, 2)}\n`)
}
