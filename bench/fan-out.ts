/** One message to a topic of 1,000 subscribers, against a message to each of them: until every one of them has it. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findFreePort, TestBroker } from '../test/support/mesh.ts'
import type { Benchmark, Contest } from './benchmark.ts'
import { askProcess, type FanOutJob, type FanOutResult, forkReady } from './load.ts'

export const fanOut: Benchmark = {
  name: 'fan-out',
  limit: 'the same sender sends one message to each of the same members, each when the one before was accepted',
  rounds: 5,
  figures: [
    {
      name: 'fan-out',
      about: '1,000 single sends / one message to 1,000 subscribers, each until all have it (times the speed)',
      target: { atLeast: 10 },
    },
  ],
  prepare,
}

const subscribers = 1_000

async function prepare(): Promise<Contest> {
  const directory = mkdtempSync(join(tmpdir(), 'cm-'))
  const broker = new TestBroker(join(directory, 'broker'), await findFreePort())
  await broker.start()
  const child = await forkReady('fan-out-load', [`${broker.url}/v1/ws`, String(subscribers)])
  const ask = async (job: FanOutJob) => {
    const { perSecond } = (await askProcess(child, job)) as FanOutResult
    return { 'fan-out': perSecond }
  }
  return {
    subject: () => ask({ one: 'to all' }),
    limit: () => ask({ one: 'to each' }),
    close: async () => {
      child.kill()
      await broker.kill()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}
