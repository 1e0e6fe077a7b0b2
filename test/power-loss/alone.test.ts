/**
 * The power goes under a daemon without its broker, and under a broker without a daemon: what each has answered holds by
 * itself, whatever the other may be able to make good.
 */
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { TestMesh } from '../support/mesh.ts'
import { Acknowledgements, sendTraffic } from '../support/powerloss/acknowledgements.ts'
import { lookAtMesh, lookedAt } from '../support/powerloss/mesh-on-disk.ts'
import { Recording, whyNotRecordable } from '../support/powerloss/recorder.ts'
import { sweep } from '../support/powerloss/sweep.ts'
import type { Trace } from '../support/powerloss/trace.ts'
import { message, RawMember } from '../support/raw-member.ts'
import { RawMesh } from '../support/raw-mesh.ts'
import { memoryDirectory } from '../support/scratch-directory.ts'
import { seeded } from '../support/seed.ts'

const random = seeded()
const lives = ['first', 'second'] as const

describe.skipIf(whyNotRecordable() !== null)(`a cut of the power under one process (seed ${random.seed})`, () => {
  const queued = new Acknowledgements()
  /** When the broker had answered each message. */
  const accepted = new Map<string, bigint>()
  let mesh: TestMesh
  let trace: Trace

  beforeAll(async () => {
    mesh = await TestMesh.start(['alice'], { startMembers: false })
    await mesh.broker.kill()
    const recording = await Recording.start({ directory: mesh.directory, trace: `${mesh.directory}.trace` })
    mesh.moveTo(recording)
    await daemonAlone()
    await mesh.member('alice').kill()
    await brokerAlone()
    await mesh.kill()
    mesh.moveTo(null)
    trace = await recording.end()
  }, 120_000)

  afterAll(() => mesh.end())

  async function daemonAlone(): Promise<void> {
    const alice = mesh.member('alice')
    for (const label of lives) {
      await alice.start()
      alice.cli(['topic', 'subscribe', 'all'])
      await sendTraffic(alice, queued, { label, to: '#all', concurrent: 32, rounds: 2, batch: 32, awaited: 0 })
      await alice.kill()
    }
  }

  async function brokerAlone(): Promise<void> {
    const members = new RawMesh()
    const reader = members.join('reader')
    const url = `${mesh.broker.url}/v1/ws`
    for (const label of lives) {
      await mesh.broker.start()
      await (await RawMember.connect(url, reader)).close()
      const sender = await RawMember.connect(url, members.founder)
      for (let n = 0; n < 24; n += 1) {
        const to = { kind: 'dm', ref: reader.memberId } as const
        const items = Array.from({ length: 1 + (n % 8) }, (_, place) => message({ to, id: `${label}/${n}/${place}` }))
        const results = await sender.post(items)
        for (const { client_message_id: id, status } of results) {
          expect(status).toBe(201)
          accepted.set(id, process.hrtime.bigint())
        }
      }
      await mesh.broker.kill()
    }
  }

  test('loses nothing that it had answered', async () => {
    const { images, violations } = await sweep({
      trace,
      seed: random.seed,
      out: join(memoryDirectory(), 'image'),
      includes: (path) => lookedAt.test(path),
      look: async ({ directory, before }) => {
        const { outbox, broker } = await lookAtMesh(directory)
        const inOutbox = queued.before(before).map(({ key }) => key)
        const atBroker = [...accepted].filter(([, at]) => at < before).map(([key]) => key)
        return [
          ...inOutbox.filter((key) => !outbox.has(key)).map((key) => `${key} is not in the outbox`),
          ...atBroker.filter((key) => !broker.has(key)).map((key) => `${key} is not at the broker`),
        ]
      },
    })
    console.log(
      `power cuts under one process: ${trace.points} points, ${images} images, ${queued.all.length} sends and ` +
        `${accepted.size} messages at the broker acknowledged, ${violations.length} violations, seed ${random.seed}`,
    )
    expect(violations).toEqual([])
    expect(queued.unanswered).toBe(0)
  }, 150_000)
})
