/**
 * A member that comes back to a long queue: how fast it is served, against how fast one is that has hardly been away. Both
 * are served in slices of the same length, over a new connection each, so that the length of the queue is all that differs.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findFreePort, TestBroker } from '../test/support/mesh.ts'
import type { Benchmark, Contest } from './benchmark.ts'
import { askProcess, type DrainJob, type DrainResult, forkReady } from './load.ts'
import { residentBytes } from './process-figures.ts'
import { queueCopies, readQueued } from './queued-messages.ts'

export const reconnect: Benchmark = {
  name: 'reconnect',
  limit: 'a broker serves a queue that has just been filled and ends with the slice',
  figures: [
    {
      name: 'reconnect',
      about: 'deliveries a second from a long queue / from one as long as a slice, acknowledged',
      target: { atLeast: 0.5 },
    },
  ],
  size: { unit: 'messages', whenAlone: 1_000_000, inWholeRun: 100_000 },
  prepare,
}

/** Messages that are received and acknowledged in a round. */
const slice = 8_192

async function prepare(queued: number): Promise<Contest> {
  const directory = mkdtempSync(join(tmpdir(), 'cm-'))
  const sides = { long: await startSide(join(directory, 'long')), short: await startSide(join(directory, 'short')) }
  await sides.long.fill(queued)
  const atStart = mebibytesOf(sides.long.broker)
  const receiver = { first: 0, most: 0 }
  let most = atStart
  const measure = async (side: Side) => {
    const { perSecond, residentMiB: received } = await side.ask({ receive: slice })
    if (side === sides.long) {
      if (receiver.first === 0) receiver.first = received
      receiver.most = Math.max(receiver.most, received)
      most = Math.max(most, mebibytesOf(side.broker))
    }
    return { reconnect: perSecond }
  }
  return {
    subject: () => measure(sides.long),
    limit: async () => {
      await sides.short.ask({ post: slice })
      return measure(sides.short)
    },
    notes: () => [
      `${queued} messages queued; broker: ${atStart} MiB before, at most ${most} MiB; receiver: ${receiver.first} MiB after the first ${slice}, at most ${receiver.most} MiB`,
    ],
    close: async () => {
      for (const side of Object.values(sides)) await side.close()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

interface Side {
  readonly broker: TestBroker
  /** Restarts the broker with so many more messages waiting. */
  fill(count: number): Promise<void>
  ask(job: DrainJob): Promise<DrainResult>
  close(): Promise<void>
}

async function startSide(data: string): Promise<Side> {
  const broker = new TestBroker(data, await findFreePort())
  await broker.start({ env: unlimited })
  const child = await forkReady('broker-drain', [`${broker.url}/v1/ws`])
  return {
    broker,
    async fill(count) {
      const path = join(data, 'broker.db')
      await broker.kill()
      queueCopies(path, readQueued(path), { first: 2, count })
      await broker.start({ env: unlimited })
    },
    ask: async (job) => (await askProcess(child, job)) as DrainResult,
    async close() {
      child.kill()
      await broker.kill()
    },
  }
}

function mebibytesOf(broker: TestBroker): number {
  return Math.round(residentBytes(broker.running.pid) / 1024 / 1024)
}

/** What a member may send a second is a setting; here it must not be the limit. */
const unlimited = {
  CLAUDEMESH_BROKER_RATE_MEMBER_PER_SECOND: '1000000',
  CLAUDEMESH_BROKER_RATE_MESH_PER_SECOND: '1000000',
}
