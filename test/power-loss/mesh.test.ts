/**
 * The power goes while a daemon, a broker and another daemon work, all at once. Whatever had been answered by then holds:
 * each `202` is in the sender's outbox, each `accepted` is at the broker, each `delivered` is in the recipient's inbox, and
 * what the three databases say of each other agrees. Started again, the three carry everything to its end.
 */
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { TestMesh } from '../support/mesh.ts'
import { Acknowledgements, sendTraffic } from '../support/powerloss/acknowledgements.ts'
import { findDisorder, findViolations, lookAtMesh, lookedAt } from '../support/powerloss/mesh-on-disk.ts'
import { Recording, whyNotRecordable } from '../support/powerloss/recorder.ts'
import { sweep } from '../support/powerloss/sweep.ts'
import type { Trace } from '../support/powerloss/trace.ts'
import { memoryDirectory } from '../support/scratch-directory.ts'
import { seeded } from '../support/seed.ts'

const random = seeded()
const restarts = Number(process.env['CLAUDEMESH_TEST_POWER_RESTARTS'] ?? 2)

describe.skipIf(whyNotRecordable() !== null)('a cut of the power under a running mesh', () => {
  const noted = new Acknowledgements()
  let mesh: TestMesh
  let trace: Trace

  beforeAll(async () => {
    mesh = await TestMesh.start(['alice', 'bob'], { startMembers: false })
    await mesh.broker.kill()
    const recording = await Recording.start({ directory: mesh.directory, trace: `${mesh.directory}.trace` })
    mesh.moveTo(recording)
    await work(mesh, noted)
    await mesh.kill()
    mesh.moveTo(null)
    trace = await recording.end()
  }, 120_000)

  afterAll(() => mesh.end())

  test(`loses nothing that was acknowledged (seed ${random.seed})`, async () => {
    const out = join(memoryDirectory(), 'image')
    const startCpu = process.cpuUsage()
    let checked = 0
    const { images, violations } = await sweep({
      trace,
      seed: random.seed,
      out,
      includes: (path) => lookedAt.test(path),
      look: async ({ directory, before }) => {
        const acknowledged = noted.before(before)
        checked += acknowledged.length
        const found = await lookAtMesh(directory)
        return [...findViolations(found, acknowledged), ...findDisorder(found)]
      },
    })
    const { user, system } = process.cpuUsage(startCpu)
    const seconds = ((user + system) / 1e6).toFixed(1)
    console.log(
      `power cuts under a mesh: ${trace.points} points, ${images} images, ${noted.all.length} acknowledgements, ` +
        `${checked} checks of one, ${violations.length} violations, ${seconds} s of a processor, seed ${random.seed}`,
    )
    expect(violations).toEqual([])
    expect(checked).toBeGreaterThan(0)
  }, 300_000)

  test(`is followed by a start that carries everything to its end (seed ${random.seed})`, async () => {
    let carried = 0
    for (const point of trace.sample(restarts, { seed: random.seed })) {
      const mode = random.pick(['drop', 'torn', 'subset'] as const)
      const directory = join(memoryDirectory(), 'image')
      trace.cut(point, { mode, seed: random.seed, out: directory })
      const place = `point ${point}, ${mode}, seed ${random.seed}`
      const acknowledged = noted.before(trace.timeOf(point))
      carried += await carryToItsEnd({ directory, port: mesh.broker.port, acknowledged, place })
    }
    console.log(`starts after a cut: ${restarts}, messages carried to the inbox: ${carried}, seed ${random.seed}`)
  }, 300_000)
})

/** Everything the mesh is there for, with kills in between, so that recovery is cut too. */
async function work(mesh: TestMesh, noted: Acknowledgements): Promise<void> {
  const [alice, bob] = [mesh.member('alice'), mesh.member('bob')]
  const rounds = { to: '@bob', concurrent: 64, rounds: 2, batch: 64, awaited: 8 }
  await mesh.broker.start()
  await Promise.all([alice.start(), bob.start()])
  await alice.knows(['bob'])
  await sendTraffic(alice, noted, { ...rounds, label: 'first' })
  // Each is killed under load once; what its start repeats and repairs is a part of the run.
  for (const victim of [bob, mesh.broker, alice]) {
    const label = victim === bob ? 'bob' : victim === alice ? 'alice' : 'broker'
    const sending = sendTraffic(alice, noted, { ...rounds, rounds: 1, awaited: 0, label })
    if (victim === alice) await sending
    await victim.kill()
    await victim.start()
    await sending
  }
  await sendTraffic(alice, noted, { ...rounds, label: 'last' })
  await alice.drained()
  const health = await alice.health()
  await bob.inboxOf(health?.outbox.done ?? 0)
}

async function carryToItsEnd(o: {
  readonly directory: string
  readonly port: number
  readonly acknowledged: ReturnType<Acknowledgements['before']>
  readonly place: string
}): Promise<number> {
  const mesh = TestMesh.at(o.directory, ['alice', 'bob'], { port: o.port })
  try {
    await mesh.broker.start()
    await Promise.all(mesh.members.map((member) => member.start()))
    await mesh.member('alice').drained()
    const inOutbox = (await mesh.member('alice').health())?.outbox.done ?? 0
    await mesh.member('bob').inboxOf(inOutbox)
    await mesh.kill()
    const found = await lookAtMesh(o.directory)
    expect([...findViolations(found, o.acknowledged), ...findDisorder(found)], o.place).toEqual([])
    expect([...found.inbox].sort(), o.place).toEqual([...found.outbox.keys()].sort())
    return found.inbox.length
  } finally {
    await mesh.kill()
  }
}
