/** A daemon that has nothing to do: its memory, how often it wakes up, and the processor that it takes. */
import { setTimeout as pause } from 'node:timers/promises'
import { eventually } from '../test/support/eventually.ts'
import { meshSlug, type TestMember, TestMesh } from '../test/support/mesh.ts'
import type { Benchmark, Contest, Sample } from './benchmark.ts'
import { processorMs, residentBytes, wakeUps } from './process-figures.ts'

export const daemonRest: Benchmark = {
  name: 'daemon-rest',
  rounds: 1,
  limit: 'Node alone has 45 MiB, and one timer of a second wakes up once a second',
  figures: [
    { name: 'daemon memory', about: 'of an idle daemon, connected', unit: 'MiB', target: { atMost: 96 } },
    { name: 'daemon wake-ups', about: 'of all its threads in a second', unit: 'a second', target: { atMost: 1 } },
    {
      name: 'daemon wake-ups offline',
      about: 'the same while there is no broker',
      unit: 'a second',
      target: { atMost: 1 },
    },
    { name: 'daemon rest', about: 'processor that it takes, connected', unit: '%', target: { atMost: 0.1 } },
  ],
  prepare,
}

/** Within it the daemon has collected what starting left behind, and the engine once more some eight seconds later. */
const settleMs = 30_000
/** One interval of keep-alive. */
const watchMs = 20_000
/** The link has tried often by then, and tries ever more rarely. */
const offlineMs = 10_000

async function prepare(): Promise<Contest> {
  const mesh = await TestMesh.start(['alice', 'bob'], { startMembers: false })
  const alice = mesh.member('alice')
  const start = ['daemon', 'start', '--mesh', meshSlug]
  // As people start it, with what the command gives to Node.
  alice.cli(start)
  return {
    subject: () => measure(mesh, alice),
    limit: () => Object.fromEntries(daemonRest.figures.map(({ name }) => [name, 1])),
    close: async () => {
      alice.cli(['daemon', 'stop', '--mesh', meshSlug])
      await mesh.end()
    },
  }
}

async function measure(mesh: TestMesh, alice: TestMember): Promise<Sample> {
  const { pid } = await eventually('the daemon is connected', async () => {
    const health = await alice.health()
    return health?.link.connected === true && health
  })
  await pause(settleMs)
  const connected = await watch(pid)
  const memory = residentBytes(pid) / 1024 / 1024
  await mesh.broker.kill()
  await pause(offlineMs)
  const offline = await watch(pid)
  return {
    'daemon memory': memory,
    'daemon wake-ups': connected.wakeUpsPerSecond,
    'daemon wake-ups offline': offline.wakeUpsPerSecond,
    'daemon rest': connected.processorPercent,
  }
}

async function watch(pid: number) {
  const before = { wakeUps: wakeUps(pid), processorMs: processorMs(pid) }
  await pause(watchMs)
  return {
    wakeUpsPerSecond: ((wakeUps(pid) - before.wakeUps) * 1_000) / watchMs,
    processorPercent: (100 * (processorMs(pid) - before.processorMs)) / watchMs,
  }
}
