/**
 * A disk that fails under running processes: operations fail that the code under test cannot tell from those
 * of a real disk. What could not be made durable is never answered with success; whoever met it leaves with the code that
 * makes a supervisor start it again; and what was acknowledged before, between and after is there, also when the power
 * goes at any moment of it.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { meshSlug, TestMesh } from '../support/mesh.ts'
import { Acknowledgements, sendTraffic } from '../support/powerloss/acknowledgements.ts'
import { findViolations, lookAtMesh, lookedAt } from '../support/powerloss/mesh-on-disk.ts'
import { Recording, whyNotRecordable } from '../support/powerloss/recorder.ts'
import { sweep } from '../support/powerloss/sweep.ts'
import { memoryDirectory } from '../support/scratch-directory.ts'
import { seeded } from '../support/seed.ts'

const random = seeded()
const rounds = Number(process.env['CLAUDEMESH_TEST_DISK_FAULTS'] ?? 1)
/** Of sysexits: the disk failed. A supervisor starts again whatever ends with it. */
const exitInputOutput = 74

/** What a process may grow by while its disk is slow: what waits is bounded, and garbage comes and goes. */
const grownBytesMax = 100 * 1024 ** 2

type Victim = 'alice' | 'broker' | 'bob'

/**
 * What fails, and whose process it ends: files that one of the three alone writes to. `#` is a number at random, so that the
 * failure comes at another operation.
 */
const failures: readonly { readonly victim: Victim; readonly fault: string }[] = [
  { victim: 'alice', fault: 'eio-fsync=#:outbox.db-wal' },
  { victim: 'alice', fault: 'eio-fsync=#+:outbox.db-wal' },
  { victim: 'alice', fault: 'eio-write=#:outbox.db-wal' },
  { victim: 'broker', fault: 'eio-fsync=#:broker.db-wal' },
  { victim: 'broker', fault: 'eio-write=#+:broker.db-wal' },
  { victim: 'bob', fault: 'eio-fsync=#:inbox.db-wal' },
  { victim: 'bob', fault: 'eio-write=#:inbox.db-wal' },
]

describe.skipIf(whyNotRecordable() !== null)(`a failing disk (seed ${random.seed})`, () => {
  const noted = new Acknowledgements()
  let mesh: TestMesh
  let recording: Recording
  let sent = 0

  const part = (victim: Victim) => (victim === 'broker' ? mesh.broker : mesh.member(victim))
  const send = async (o: { readonly concurrent: number; readonly rounds: number }) => {
    sent += 1
    const options = { label: `part-${sent}`, to: '@bob', batch: 0, awaited: 0, ...o }
    await sendTraffic(mesh.member('alice'), noted, options)
  }

  beforeAll(async () => {
    mesh = await TestMesh.start(['alice', 'bob'], { startMembers: false })
    await mesh.broker.kill()
    recording = await Recording.start({ directory: mesh.directory, trace: `${mesh.directory}.trace` })
    mesh.moveTo(recording)
    await mesh.broker.start()
    await Promise.all(mesh.members.map((member) => member.start()))
    await mesh.member('alice').knows(['bob'])
    await send({ concurrent: 16, rounds: 2 })
  }, 120_000)

  afterAll(() => mesh.end())

  const cases = Array.from({ length: rounds }, () => failures).flat()
  for (const [index, { victim, fault }] of cases.entries()) {
    const now = fault.replace('#', String(1 + Math.floor(random.next() * 12)))
    test(`${index}: ${now}: ${victim} says so, leaves with ${exitInputOutput} and comes back`, async () => {
      const { running } = part(victim)
      recording.setFaults(now)
      await eventually(
        `${victim} meets the failure`,
        async () => {
          await send({ concurrent: 8, rounds: 2 })
          return running.ending !== null
        },
        { withinMs: 100_000 },
      )
      expect(await running.ended).toEqual({ code: exitInputOutput, signal: null })
      if (victim !== 'broker') expect(running.output).toContain('storage_failed')
      recording.setFaults()
      await part(victim).start()
      await send({ concurrent: 8, rounds: 2 })
    }, 150_000)
  }

  test('no room: refuses what it cannot store, goes on, and takes it when there is room', async () => {
    const before = noted.all.length
    const refused = noted.unanswered
    recording.setFaults(`enospc=${bytesBelow(mesh.directory) + 150_000}`)
    await eventually(
      'the full disk is met',
      async () => {
        await send({ concurrent: 16, rounds: 1 })
        return noted.unanswered > refused
      },
      { withinMs: 100_000 },
    )
    const running = [mesh.broker, ...mesh.members].map(({ running: { ending } }) => ending)
    expect(running).toEqual([null, null, null])
    recording.setFaults()
    const met = noted.all.length
    await eventually(
      'sends are taken again',
      async () => {
        await send({ concurrent: 1, rounds: 1 })
        return noted.all.length > met
      },
      { withinMs: 100_000 },
    )
    console.log(`no room: ${met - before} acknowledged, ${noted.unanswered - refused} refused, none of the three ended`)
  }, 240_000)

  test('writes that store only a part of what they are given are carried on', async () => {
    const refused = noted.unanswered
    recording.setFaults('short=3')
    await send({ concurrent: 32, rounds: 4 })
    recording.setFaults()
    expect(noted.unanswered).toBe(refused)
  }, 120_000)

  test('a slow disk slows down what needs it: what is beyond the bound is refused, and everything else is answered', async () => {
    const alice = mesh.member('alice')
    const concurrent = 64
    await alice.start({ env: { CLAUDEMESH_IPC_SOCKET_INFLIGHT_MAX: String(concurrent / 4) } })
    const parts = [mesh.broker, ...mesh.members]
    const before = parts.map(({ running }) => residentBytes(running.pid))
    let refused = 0
    let answered = 0
    let sending = true
    const sendOne = (key: string) =>
      eventually(
        `${key} is taken`,
        async () => {
          const { status, json } = await alice.send({ to: '@bob', message: key, client_message_id: key })
          if (status === 429) refused += 1
          else noted.note(key, status, json)
          return status === 202 || status === 200
        },
        { withinMs: 100_000 },
      )
    recording.setFaults('slow-fsync=40')
    const sends = Promise.all(Array.from({ length: 4 * concurrent }, (_, n) => sendOne(`slow/${n}`))).finally(() => {
      sending = false
    })
    const ready = new URL('/readyz', mesh.broker.url.replace(/^ws/, 'http'))
    const watch = async () => {
      while (sending) {
        const [health, { status }] = await Promise.all([mesh.member('bob').health(), fetch(ready)])
        if (health !== null && status === 200) answered += 1
        await pause(5)
      }
    }
    await Promise.all([sends, watch()])
    recording.setFaults()
    const grown = parts.map(({ running }, index) => residentBytes(running.pid) - (before[index] ?? 0))
    console.log(
      `slow disk: ${refused} sends refused until they were taken, ${answered} times answered meanwhile, grown by ` +
        `${grown.map((bytes) => (bytes / 1024 ** 2).toFixed(0)).join(', ')} MiB`,
    )
    expect(refused).toBeGreaterThan(0)
    expect(answered).toBeGreaterThan(0)
    expect(Math.max(...grown)).toBeLessThan(grownBytesMax)
    expect(parts.map(({ running }) => running.ending)).toEqual([null, null, null])
  }, 150_000)

  test('of a disk that fails while it starts, a process says so and the next start succeeds', async () => {
    const alice = mesh.member('alice')
    let failed = 0
    const kinds = ['eio-fsync=#+', 'eio-read=#+:*.db', 'eio-fsync=#', `eio-fsync=#+:${meshSlug}`] as const
    const starts = kinds.length * rounds
    for (let n = 0; n < starts; n += 1) {
      await alice.kill()
      const fault = kinds[n % kinds.length] ?? kinds[0]
      recording.setFaults(fault.replace('#', String(1 + Math.floor(random.next() * (n % 4 === 0 ? 12 : 4)))))
      const cameUp = await alice.start().then(
        () => true,
        () => false,
      )
      if (!cameUp) {
        failed += 1
        expect(alice.running.ending, fault).toEqual({ code: exitInputOutput, signal: null })
        expect(alice.running.output).toMatch(/storage_failed[\s\S]*->/)
      }
      recording.setFaults()
      await mesh.kill()
      await mesh.broker.start()
      await Promise.all(mesh.members.map((member) => member.start()))
    }
    console.log(`disk failing at start: ${starts} starts, ${failed} did not come up, all did afterwards`)
    expect(failed).toBeGreaterThan(0)
  }, 200_000)

  test('everything acknowledged arrives once, and none of it is lost when the power goes', async () => {
    const alice = mesh.member('alice')
    await alice.drained()
    await mesh.member('bob').inboxOf((await alice.health())?.outbox.done ?? 0)
    await mesh.kill()
    const trace = await recording.end()
    const end = await lookAtMesh(mesh.directory)
    expect(findViolations(end, noted.all)).toEqual([])
    expect([...end.inbox].sort()).toEqual([...end.outbox.keys()].sort())

    const faults = trace.records.flatMap(({ errno }, index) => (errno === 0 ? [] : [index + 1]))
    const { images, violations } = await sweep({
      trace,
      seed: random.seed,
      alsoAt: faults.filter((_, index) => index % Math.ceil(faults.length / 10) === 0),
      out: join(memoryDirectory(), 'image'),
      includes: (path) => lookedAt.test(path),
      look: async ({ directory, before }) => findViolations(await lookAtMesh(directory), noted.before(before)),
    })
    console.log(
      `disk faults: ${faults.length} operations failed, ${noted.all.length} acknowledgements, ${noted.unanswered} ` +
        `refusals, ${images} cuts of the power, ${violations.length} violations, seed ${random.seed}`,
    )
    expect(violations).toEqual([])
  }, 250_000)
})

function residentBytes(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024
}

function bytesBelow(directory: string): number {
  const names = readdirSync(directory, { recursive: true, encoding: 'utf8' })
  const files = names.map((name) => statSync(join(directory, name))).filter((stats) => stats.isFile())
  return files.reduce((bytes, { size }) => bytes + size, 0)
}
