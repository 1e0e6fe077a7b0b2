/** Accepting from many callers at once, each message on disk before its answer, against answering without storing. */
import type { Benchmark, Contest } from './benchmark.ts'
import { LoadGenerator } from './load.ts'
import { message, startAnswerOnly, startSendingDaemon } from './sending-daemon.ts'

export const accept: Benchmark = {
  name: 'accept',
  limit: 'a route of the same framework with the same schemas answers and stores nothing: what HTTP alone costs',
  figures: [
    {
      name: 'accept',
      about: 'POST /v1/send of 1 KiB on 64 connections / a Fastify route with the same schema that stores nothing',
      target: { atLeast: 0.55 },
    },
  ],
  prepare,
}

async function prepare(): Promise<Contest> {
  const daemon = await startSendingDaemon()
  const answerOnly = await startAnswerOnly(daemon.directory)
  const load = await LoadGenerator.start('http-load')
  const body = JSON.stringify(message)
  const rate = async (socketPath: string) => {
    const { perSecond } = await load.run({
      socketPath,
      path: '/v1/send',
      body,
      connections: 64,
      until: { ms: 1_000 },
    })
    return { accept: perSecond }
  }
  return {
    subject: () => rate(daemon.alice.socket),
    limit: () => rate(answerOnly.socketPath),
    notes: () => [load.note()],
    close: async () => {
      load.close()
      answerOnly.close()
      await daemon.close()
    },
  }
}
