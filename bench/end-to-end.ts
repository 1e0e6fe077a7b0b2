/** The whole way of a message, until its sender's outbox and its recipient's inbox agree, against accepting alone. */
import { eventually } from '../test/support/eventually.ts'
import { TestMesh } from '../test/support/mesh.ts'
import type { Benchmark, Contest } from './benchmark.ts'
import { LoadGenerator } from './load.ts'
import { message, startSendingDaemon } from './sending-daemon.ts'

export const endToEnd: Benchmark = {
  name: 'end-to-end',
  limit: "the sender's daemon accepts the same messages and does nothing else: the first of three commits",
  figures: [
    {
      name: 'end-to-end',
      about: 'accept, broker, inbox, acknowledgement of 2,560 sealed messages of 1 KiB / accepting them alone',
      target: { atLeast: 0.25 },
    },
  ],
  prepare,
}

const connections = 64
const answers = 40
const messages = connections * answers

async function prepare(): Promise<Contest> {
  const mesh = await TestMesh.start(['alice', 'bob'])
  const [alice, bob] = [mesh.member('alice'), mesh.member('bob')]
  const alone = await startSendingDaemon()
  const load = await LoadGenerator.start('http-load')
  const body = JSON.stringify(message)
  const send = (socketPath: string) => load.run({ socketPath, path: '/v1/send', body, connections, until: { answers } })
  let arrived = 0
  return {
    subject: async () => {
      const started = performance.now()
      await send(alice.socket)
      arrived += messages
      await eventually(`${arrived} messages have arrived`, async () => (await bob.health())?.inbox.messages === arrived)
      await alice.drained()
      return { 'end-to-end': (messages * 1000) / (performance.now() - started) }
    },
    limit: async () => {
      const started = performance.now()
      await send(alone.alice.socket)
      return { 'end-to-end': (messages * 1000) / (performance.now() - started) }
    },
    notes: () => [load.note()],
    close: async () => {
      load.close()
      await alone.close()
      await mesh.end()
    },
  }
}
