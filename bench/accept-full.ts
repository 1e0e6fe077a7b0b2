/** Accepting while a great many messages wait already, against accepting into an outbox that was empty. */
import type { Benchmark, Contest } from './benchmark.ts'
import { fillByCopies } from './growth/statements.ts'
import { LoadGenerator } from './load.ts'
import { message, type SendingDaemon, startSendingDaemon } from './sending-daemon.ts'
import { readRow } from './statements.ts'

export const acceptFull: Benchmark = {
  name: 'accept-full',
  limit: 'the same daemon with an outbox that was empty: what is already waiting should cost nothing',
  figures: [
    {
      name: 'accept-full',
      about: 'POST /v1/send of 1 KiB on 256 connections while messages wait / the same with none waiting',
      target: { atLeast: 0.85 },
    },
  ],
  size: { unit: 'messages waiting', whenAlone: 1_000_000, inWholeRun: 1_000_000 },
  prepare,
}

async function prepare(waiting: number): Promise<Contest> {
  const full = await startSendingDaemon()
  const empty = await startSendingDaemon()
  await fill(full, waiting)
  const load = await LoadGenerator.start('http-load')
  const body = JSON.stringify(message)
  const rate = async ({ alice }: SendingDaemon) => {
    const job = { socketPath: alice.socket, path: '/v1/send', body, connections: 256, until: { ms: 1_000 } }
    return { 'accept-full': (await load.run(job)).perSecond }
  }
  return {
    subject: () => rate(full),
    limit: () => rate(empty),
    notes: () => [load.note()],
    close: async () => {
      load.close()
      await Promise.all([full.close(), empty.close()])
    },
  }
}

/**
 * Copies a row that the daemon has accepted. A short body is enough: it is the rows and their entries in indexes that
 * grow a tree, and pages of bodies that nobody reads stand beside them.
 */
async function fill({ alice }: SendingDaemon, count: number): Promise<void> {
  const { outboxDatabase } = alice.paths
  const like = { ...readRow(outboxDatabase, 'outbox'), payload: Buffer.alloc(68), message_bytes: 64 }
  await alice.kill()
  // They sort before what the daemon makes, as ids of messages that were accepted earlier do.
  const earlier = `printf('0%025d', n)`
  const differing = { id: earlier, client_message_id: earlier }
  fillByCopies(outboxDatabase, [{ table: 'outbox', like, differing, first: 1, count }])
  await alice.start()
  const pending = (await alice.health())?.outbox.pending ?? 0
  if (pending < count) throw new Error(`${pending} of ${count} messages wait`)
}
