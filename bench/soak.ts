/**
 * `npm run soak -- --minutes 60 [--rate 20]`: steady traffic through two daemons and a broker, as they are shipped. What
 * they hold is sampled and printed: memory, descriptors, write-ahead logs, how late their event loops are. It ends with
 * whether each levels off (second half against the first), and with 1 where one does not, or where a message is missing.
 */
import { mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { eventually } from '../test/support/eventually.ts'
import { meshSlug, type TestMember, TestMesh } from '../test/support/mesh.ts'
import { openDescriptors } from '../test/support/process-figures.ts'
import { quantile } from './benchmark.ts'
import { residentBytes } from './process-figures.ts'

const { values } = parseArgs({
  options: { minutes: { type: 'string', default: '60' }, rate: { type: 'string', default: '20' } },
})
const totalMs = Number(values.minutes) * 60_000
/** Messages a second, each way. */
const rate = Number(values.rate)
const samples = 60
const sampleMs = totalMs / samples
const message = 'x'.repeat(1024)

/**
 * What is sampled of a process, with what its second half may be above its first: by a share and by an amount. How late a
 * loop is depends on what else the machine does, so that it is told and decides nothing.
 */
const kinds = {
  'memory MiB': { share: 1.15, amount: 4, of: quantileOf(0.5), decides: true },
  descriptors: { share: 1, amount: 2, of: quantileOf(1), decides: true },
  'WAL MiB': { share: 1.25, amount: 1, of: quantileOf(1), decides: true },
  'loop p99 ms': { share: 1.5, amount: 5, of: quantileOf(0.5), decides: false },
} as const
type Kind = keyof typeof kinds
type Sample = Readonly<Record<Kind, number>>

interface Watched {
  readonly name: string
  readonly pid: number
  /** Where its databases are. */
  readonly directory: string
  readonly samples: Sample[]
}

const mesh = await TestMesh.start(['alice', 'bob'], { startMembers: false })
const [alice, bob] = [mesh.member('alice'), mesh.member('bob')]
const delays = join(mesh.directory, 'loop-delays')
mkdirSync(delays)
let failed = true
try {
  const watched = await startAll()
  const sent = { count: 0 }
  const stop = new AbortController()
  const traffic = [sendSteadily(alice, bob, sent, stop.signal), sendSteadily(bob, alice, sent, stop.signal)]
  await sampleAll(watched, sent)
  stop.abort()
  await Promise.all(traffic)
  const missing = await countMissing(sent.count)
  failed = !tellVerdict(watched) || missing !== 0
  console.log(`${sent.count} messages acknowledged, ${missing} missing`)
} finally {
  for (const member of [alice, bob]) member.run(['daemon', 'stop', '--mesh', meshSlug])
  await mesh.end()
}
process.exitCode = failed ? 1 : 0

async function startAll(): Promise<readonly Watched[]> {
  const env = {
    NODE_OPTIONS: `--import=${fileURLToPath(new URL('./processes/loop-delay.js', import.meta.url))}`,
    CLAUDEMESH_LOOP_DELAY_DIRECTORY: delays,
    CLAUDEMESH_LOOP_DELAY_MS: String(sampleMs / 2),
  }
  await mesh.broker.start({ env })
  const watched = [watch('broker', mesh.broker.running.pid, mesh.broker.data)]
  for (const member of [alice, bob]) {
    // As people start it, with what the command gives to Node.
    const { status, stderr } = member.run(['daemon', 'start', '--mesh', meshSlug], '', env)
    if (status !== 0) throw new Error(`the daemon of ${member.name} did not start: ${stderr}`)
    const pid = (await member.health())?.pid ?? 0
    watched.push(watch(member.name, pid, member.paths.directory))
  }
  await Promise.all([alice, bob].map((member) => member.knows(['alice', 'bob'])))
  return watched
}

function watch(name: string, pid: number, directory: string): Watched {
  return { name, pid, directory, samples: [] }
}

/** One message after the other at its time; what was late is made up for. */
async function sendSteadily(from: TestMember, to: TestMember, sent: { count: number }, signal: AbortSignal) {
  const begun = performance.now()
  for (let n = 1; !signal.aborted; n += 1) {
    const { status, text } = await from.send({ to: `@${to.name}`, message, client_message_id: `${from.name}-${n}` })
    if (status !== 202) throw new Error(`${from.name} was answered ${status}: ${text}`)
    sent.count += 1
    await pause(Math.max(0, begun + (n * 1000) / rate - performance.now()))
  }
}

async function sampleAll(watched: readonly Watched[], sent: { readonly count: number }): Promise<void> {
  const columns = watched.flatMap(({ name }) => [`${name} MiB`, 'fds', 'WAL', 'loop p99/max'])
  console.log(['minute'.padStart(7), 'sent'.padStart(8), ...columns.map((column) => column.padStart(13))].join(' '))
  const begun = performance.now()
  for (let n = 1; n <= samples; n += 1) {
    await pause(Math.max(0, begun + n * sampleMs - performance.now()))
    const cells = watched.flatMap((one) => {
      const delay = readDelay(one.pid)
      const sample: Sample = {
        'memory MiB': residentBytes(one.pid) / 1024 / 1024,
        descriptors: openDescriptors(one.pid) ?? 0,
        'WAL MiB': walBytes(one.directory) / 1024 / 1024,
        'loop p99 ms': delay.p99,
      }
      one.samples.push(sample)
      const loop = `${delay.p99.toFixed(0)}/${delay.max.toFixed(0)}`
      return [sample['memory MiB'].toFixed(1), sample.descriptors, sample['WAL MiB'].toFixed(2), loop]
    })
    const minute = ((n * sampleMs) / 60_000).toFixed(1)
    console.log(
      [minute.padStart(7), String(sent.count).padStart(8), ...cells.map((c) => String(c).padStart(13))].join(' '),
    )
  }
}

function readDelay(pid: number): { readonly p99: number; readonly max: number } {
  return JSON.parse(readFileSync(join(delays, String(pid)), 'utf8')) as { p99: number; max: number }
}

/** Of all databases of a process. */
function walBytes(directory: string): number {
  return readdirSync(directory)
    .filter((name) => name.endsWith('-wal'))
    .reduce((sum, name) => sum + statSync(join(directory, name)).size, 0)
}

async function countMissing(expected: number): Promise<number> {
  let arrived = 0
  await eventually(
    'everything has arrived',
    async () => {
      const inboxes = await Promise.all([alice.health(), bob.health()])
      arrived = inboxes.reduce((sum, health) => sum + (health?.inbox.messages ?? 0), 0)
      return arrived >= expected
    },
    { withinMs: 120_000 },
  ).catch((error: unknown) => console.log(String(error)))
  return expected - arrived
}

/** @returns whether everything that decides levels off */
function tellVerdict(watched: readonly Watched[]): boolean {
  let isLevel = true
  for (const { name, samples: all } of watched) {
    const half = Math.floor(all.length / 2)
    for (const kind of Object.keys(kinds) as Kind[]) {
      const { share, amount, of, decides } = kinds[kind]
      const [first, second] = [all.slice(0, half), all.slice(half)].map((part) =>
        of(part.map((sample) => sample[kind])),
      )
      const levelsOff = (second ?? 0) <= (first ?? 0) * share + amount
      isLevel &&= levelsOff || !decides
      const figures = `${first?.toFixed(1)} -> ${second?.toFixed(1)}`
      console.log(`${name.padEnd(7)} ${kind.padEnd(12)} ${figures.padEnd(18)} ${levelsOff ? 'levels off' : 'grows'}`)
    }
  }
  return isLevel
}

function quantileOf(share: number): (numbers: readonly number[]) => number {
  return (numbers) =>
    quantile(
      [...numbers].sort((a, b) => a - b),
      share,
    )
}
