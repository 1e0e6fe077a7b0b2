/** Accepting from one caller, who waits for each answer, against commits of one row and nothing else. */
import { openBareOutbox } from './bare-outbox.ts'
import { type Benchmark, type Contest, quantile, type Sample } from './benchmark.ts'
import { LoadGenerator } from './load.ts'
import { message, startSendingDaemon } from './sending-daemon.ts'
import { readRow } from './statements.ts'

export const acceptOne: Benchmark = {
  name: 'accept-one',
  limit: 'better-sqlite3 alone commits the same row, one at a time: what one fsync and SQLite alone cost',
  figures: [
    {
      name: 'accept-one',
      about: 'POST /v1/send of 1 KiB on one connection / better-sqlite3 alone, one row a commit, FULL',
      target: { atLeast: 0.5 },
    },
    { name: 'accept-one p99', about: 'the 99th percentile of the same, in time', target: { atMost: 4 } },
  ],
  prepare,
}

const sliceMs = 1_000

async function prepare(): Promise<Contest> {
  const { alice, directory, close } = await startSendingDaemon()
  const bare = openBareOutbox(directory, readRow(alice.paths.outboxDatabase, 'outbox'))
  const load = await LoadGenerator.start('http-load')
  const body = JSON.stringify(message)
  const job = { socketPath: alice.socket, path: '/v1/send', body, connections: 1, until: { ms: sliceMs } }
  const sample = (perSecond: number, latenciesMs: readonly number[]): Sample => ({
    'accept-one': perSecond,
    'accept-one p99': quantile(latenciesMs, 0.99),
  })
  const insertAlone = (): Sample => {
    const latenciesMs: number[] = []
    const started = performance.now()
    for (let at = started; at - started < sliceMs; ) {
      bare.commit(1)
      const now = performance.now()
      latenciesMs.push(now - at)
      at = now
    }
    const perSecond = (latenciesMs.length * 1000) / (performance.now() - started)
    return sample(
      perSecond,
      latenciesMs.sort((a, b) => a - b),
    )
  }
  return {
    subject: async () => {
      const { perSecond, latenciesMs } = await load.run(job)
      return sample(perSecond, latenciesMs)
    },
    limit: insertAlone,
    notes: () => [load.note()],
    close: async () => {
      load.close()
      bare.close()
      await close()
    },
  }
}
