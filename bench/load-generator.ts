/** Whether the load generator is what limits `accept`: the same connections from two processes, against from one. */
import { type Benchmark, type Contest, spread } from './benchmark.ts'
import { LoadGenerator } from './load.ts'
import { message, startAnswerOnly, startSendingDaemon } from './sending-daemon.ts'

export const loadGenerator: Benchmark = {
  name: 'load-generator',
  limit: 'one generator: were it the bottleneck, a second process would get more answers',
  figures: [
    {
      name: 'load-generator',
      about: 'POST /v1/send on 64 connections from two processes / from one',
      target: { atMost: 1.1 },
    },
  ],
  prepare,
}

const connections = 64

async function prepare(): Promise<Contest> {
  const daemon = await startSendingDaemon()
  const answerOnly = await startAnswerOnly(daemon.directory)
  const loads = [await LoadGenerator.start('http-load'), await LoadGenerator.start('http-load')] as const
  const job = { path: '/v1/send', body: JSON.stringify(message), until: { ms: 1_000 } }
  const rates: { daemon: number; nothing: number }[] = []
  return {
    subject: async () => {
      const half = { ...job, socketPath: daemon.alice.socket, connections: connections / 2 }
      const results = await Promise.all(loads.map((load) => load.run(half)))
      return { 'load-generator': results.reduce((sum, { perSecond }) => sum + perSecond, 0) }
    },
    limit: async () => {
      const accepted = await loads[0].run({ ...job, socketPath: daemon.alice.socket, connections })
      const answered = await loads[0].run({ ...job, socketPath: answerOnly.socketPath, connections })
      rates.push({ daemon: accepted.perSecond, nothing: answered.perSecond })
      return { 'load-generator': accepted.perSecond }
    },
    notes: () => {
      const more = spread(rates.map(({ daemon: one, nothing }) => nothing / one))
      return [
        `one generator got ${more.median.toFixed(1)} times as many answers (${more.min.toFixed(1)} to ` +
          `${more.max.toFixed(1)}) from a route that stores nothing`,
        loads[0].note(),
      ]
    },
    close: async () => {
      for (const load of loads) load.close()
      answerOnly.close()
      await daemon.close()
    },
  }
}
