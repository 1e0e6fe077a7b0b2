/** Accepting many messages a request, against inserting the same rows in as large batches and doing nothing else. */

import { openBareOutbox } from './bare-outbox.ts'
import type { Benchmark, Contest, Sample } from './benchmark.ts'
import { LoadGenerator } from './load.ts'
import { message, startSendingDaemon } from './sending-daemon.ts'
import { readRow } from './statements.ts'

export const acceptBatch: Benchmark = {
  name: 'accept-batch',
  limit: 'better-sqlite3 alone commits the same rows, as many at a time: what the disk and SQLite alone cost',
  figures: [
    {
      name: 'accept-batch',
      about: 'POST /v1/send/batch, 64 of 1 KiB a request, 8 connections / better-sqlite3 alone, 64 rows a commit, FULL',
      target: { atLeast: 0.5 },
    },
  ],
  prepare,
}

const items = 64
const sliceMs = 1_000

async function prepare(): Promise<Contest> {
  const { alice, directory, close } = await startSendingDaemon()
  const bare = openBareOutbox(directory, readRow(alice.paths.outboxDatabase, 'outbox'))
  const load = await LoadGenerator.start('http-load')
  const job = {
    socketPath: alice.socket,
    path: '/v1/send/batch',
    body: JSON.stringify(Array.from({ length: items }, () => message)),
    connections: 8,
    until: { ms: sliceMs },
  }
  const insertAlone = (): Sample => {
    const started = performance.now()
    let rows = 0
    for (; performance.now() - started < sliceMs; rows += items) bare.commit(items)
    return { 'accept-batch': (rows * 1000) / (performance.now() - started) }
  }
  return {
    subject: async () => ({ 'accept-batch': (await load.run(job)).perSecond * items }),
    limit: insertAlone,
    notes: () => [load.note()],
    close: async () => {
      load.close()
      bare.close()
      await close()
    },
  }
}
