/** Accepting while what was accepted is sealed and sent as fast as it goes, against accepting alone. */
import { TestMesh } from '../test/support/mesh.ts'
import type { Benchmark, Contest } from './benchmark.ts'
import { LoadGenerator } from './load.ts'
import { message, startSendingDaemon } from './sending-daemon.ts'

export const acceptDraining: Benchmark = {
  name: 'accept-draining',
  limit: 'the same daemon while it cannot send: the sender should leave half of the processor to callers',
  figures: [
    {
      name: 'accept-draining',
      about: 'POST /v1/send of 1 KiB on 64 connections while the sender has a backlog and a broker / accepting alone',
      target: { atLeast: 0.5 },
    },
  ],
  prepare,
}

const job = { path: '/v1/send', body: JSON.stringify(message), connections: 64 }

async function prepare(): Promise<Contest> {
  const mesh = await TestMesh.start(['alice', 'bob'])
  const alice = mesh.member('alice')
  // Its messages stay at the broker: a recipient would take processor time that is not the sender's.
  await mesh.member('bob').kill()
  const alone = await startSendingDaemon()
  const load = await LoadGenerator.start('http-load')
  const shares: number[] = []
  return {
    subject: async () => {
      const { socket } = alice
      await load.run({ ...job, socketPath: socket, until: { ms: 300 } })
      const before = await outboxOf(alice)
      const started = performance.now()
      const { perSecond } = await load.run({ ...job, socketPath: socket, until: { ms: 1_000 } })
      const after = await outboxOf(alice)
      // Nothing may be waiting at the end: then all that was accepted has been sent as well.
      if (after.done === before.done) throw new Error('nothing was sent meanwhile')
      const sentPerSecond = ((after.done - before.done) * 1000) / (performance.now() - started)
      shares.push(sentPerSecond / perSecond)
      await alice.drained()
      return { 'accept-draining': perSecond }
    },
    limit: async () => {
      const { perSecond } = await load.run({ ...job, socketPath: alone.alice.socket, until: { ms: 1_000 } })
      return { 'accept-draining': perSecond }
    },
    notes: () => [
      load.note(),
      `sent meanwhile, of what was accepted: ${shares.map((share) => `${Math.round(share * 100)} %`).join(', ')}`,
    ],
    close: async () => {
      load.close()
      await alone.close()
      await mesh.end()
    },
  }
}

async function outboxOf(alice: ReturnType<TestMesh['member']>): Promise<{ done: number }> {
  const health = await alice.health()
  if (health === null) throw new Error('the daemon does not answer')
  return { done: health.outbox.done }
}
