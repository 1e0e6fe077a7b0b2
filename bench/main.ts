// `npm run bench [-- name ...]`: runs the benchmarks named, or all of them, prints a table and keeps the figures.
// `npm run bench -- --plots [result ...]`: takes results into docs/benchmarks/results.json and draws what is there.
import { join } from 'node:path'
import { accept } from './accept.ts'
import { acceptBatch } from './accept-batch.ts'
import { acceptDraining } from './accept-draining.ts'
import { acceptFull } from './accept-full.ts'
import { acceptOne } from './accept-one.ts'
import { artifactBytes } from './artifacts/bytes.ts'
import { artifactLog } from './artifacts/log.ts'
import { artifactMemory } from './artifacts/memory.ts'
import { artifactReading } from './artifacts/reading.ts'
import { artifactReplay } from './artifacts/replay.ts'
import { artifactServing } from './artifacts/serving.ts'
import { artifactWriters } from './artifacts/writers.ts'
import { type Benchmark, runBenchmark } from './benchmark.ts'
import { brokerAccept } from './broker-accept.ts'
import { brokerAcceptPostgres } from './broker-accept-postgres.ts'
import { cliStart } from './cli-start.ts'
import { daemonRest } from './daemon-rest.ts'
import { decisions } from './decisions.ts'
import { endToEnd } from './end-to-end.ts'
import { fanOut } from './fan-out.ts'
import { brokerGrowth } from './growth/broker.ts'
import { eventsGrowth } from './growth/events.ts'
import { type Growth, runGrowth } from './growth/growth.ts'
import { inboxGrowth } from './growth/inbox.ts'
import { outboxGrowth } from './growth/outbox.ts'
import { history } from './history.ts'
import { latency } from './latency.ts'
import { loadGenerator } from './load-generator.ts'
import { busynessAtRest, describeMachine, watchBusyness } from './machine.ts'
import { members } from './members.ts'
import { drawResults } from './plots.ts'
import { reconnect } from './reconnect.ts'
import { busynessText, machineLines, outcomeLines, slopeLine } from './report.ts'
import { keepRun, mergeInto, type Results } from './results.ts'
import { sealing } from './sealing.ts'
import { sinks } from './sinks.ts'

const ofArtifacts: readonly Benchmark[] = [
  artifactBytes,
  artifactServing,
  artifactLog,
  artifactReplay,
  artifactReading,
  artifactWriters,
  artifactMemory,
]
const benchmarks: readonly Benchmark[] = [
  sealing,
  loadGenerator,
  accept,
  acceptBatch,
  acceptOne,
  acceptFull,
  acceptDraining,
  brokerAccept,
  brokerAcceptPostgres,
  cliStart,
  daemonRest,
  endToEnd,
  latency,
  members,
  fanOut,
  reconnect,
  ...ofArtifacts,
  decisions,
  history,
  sinks,
]
const growths: readonly Growth[] = [brokerGrowth, outboxGrowth, inboxGrowth, eventsGrowth]

const all = [...benchmarks, ...growths]
/** Names under which several are run. */
const groups: Readonly<Record<string, readonly Benchmark[]>> = { artifacts: ofArtifacts }
const wanted = process.argv.slice(2).flatMap((name) => groups[name]?.map((one) => one.name) ?? [name])
if (wanted[0] === '--plots') {
  const directory = join(process.cwd(), 'docs', 'benchmarks')
  const results = mergeInto(join(directory, 'results.json'), wanted.slice(1))
  for (const path of drawResults(results, directory)) console.log(path)
  process.exit(0)
}
const unknown = wanted.filter((name) => !all.some((known) => known.name === name))
if (unknown.length > 0) {
  console.error(
    `no benchmark is called ${unknown.join(', ')}; there are ${[...all.map(({ name }) => name), ...Object.keys(groups)].join(', ')}`,
  )
  process.exit(2)
}
const isWhole = wanted.length === 0
await run(isWhole ? all : all.filter(({ name }) => wanted.includes(name)))

/** One after the other. What fails does not keep the rest from being measured, but the command fails. */
async function run(chosen: readonly (Benchmark | Growth)[]): Promise<void> {
  const startedAt = new Date()
  const machine = describeMachine()
  const before = await busynessAtRest()
  for (const line of machineLines(machine, before)) console.log(line)
  let results: Results = { machine, outcomes: [], slopes: [] }
  let path = ''
  for (const item of chosen) {
    try {
      const { outcomes, slopes } = await measure(item, before)
      results = { machine, outcomes: [...results.outcomes, ...outcomes], slopes: [...results.slopes, ...slopes] }
      // After each, so that a run that is ended early has not been for nothing.
      path = keepRun(startedAt, results)
    } catch (error) {
      console.error(`${item.name} could not be measured:`, error)
      process.exitCode = 1
    }
  }
  console.log(`${Math.round((Date.now() - startedAt.getTime()) / 1000)} s; figures in ${path}`)
}

async function measure(item: Benchmark | Growth, before: Results['outcomes'][number]['before']) {
  const [at, started, busyness] = [new Date().toISOString(), performance.now(), watchBusyness()]
  const outcomes = 'figures' in item ? await runBenchmark(item, sizeOf(item)) : []
  const slopes = 'operations' in item ? await runGrowth(item, isWhole ? 'inWholeRun' : 'whenAlone') : []
  const seconds = Math.round(performance.now() - started) / 1000
  const during = busyness()
  const circumstances = { at, seconds, before, during }
  for (const outcome of outcomes) for (const line of outcomeLines(outcome)) console.log(line)
  for (const slope of slopes) console.log(slopeLine(slope))
  console.log(`${' '.repeat(24)}${item.name}: ${seconds.toFixed(1)} s, ${busynessText(during)}`)
  return {
    outcomes: outcomes.map((outcome) => ({ ...outcome, ...circumstances })),
    slopes: slopes.map((slope) => ({ ...slope, ...circumstances })),
  }
}

function sizeOf(benchmark: Benchmark): number {
  if (!('size' in benchmark)) return 0
  return isWhole ? benchmark.size.inWholeRun : benchmark.size.whenAlone
}
