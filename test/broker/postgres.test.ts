/** Brokers as processes over one PostgreSQL: that they start, and what a crash of either side costs. */
import { get } from 'node:http'
import { expect, onTestFinished, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { ManagedProcess } from '../support/managed-process.ts'
import { findFreePort } from '../support/mesh.ts'
import { freshDatabase } from '../support/postgres.ts'
import { makeClusterDirectory, PostgresCluster } from '../support/postgres-cluster.ts'
import { message, RawMember } from '../support/raw-member.ts'
import { RawMesh } from '../support/raw-mesh.ts'
import { type AcceptedSend, readHistory, receiveUntil, sendUntil } from '../support/steady-traffic.ts'

test('a broker over a database serves members, and another one after it goes on where it was', async () => {
  const databaseUrl = await freshDatabase()
  const mesh = new RawMesh()
  const reader = mesh.join('reader')
  const first = await start({ databaseUrl })
  await (await RawMember.connect(first.url, reader)).close()
  const sender = await RawMember.connect(first.url, mesh.founder)
  const item = message({ to: { kind: 'dm', ref: reader.memberId } })
  const accepted = await sender.postOne(item)
  expect(accepted).toMatchObject({ status: 201, history_id: '1' })
  first.process.signal('SIGTERM')
  expect(await first.process.ended).toEqual({ code: 0, signal: null })

  const second = await start({ databaseUrl })
  const receiver = await RawMember.connect(second.url, reader)
  const { items } = await receiver.next('deliver')
  expect(items).toMatchObject([{ sealed: item.sealed, history_id: '1' }])
  const again = await (await RawMember.connect(second.url, mesh.founder)).postOne(item)
  expect(again).toMatchObject({ status: 200, duplicate: true, history_id: '1' })
})

test('a database that is not there keeps the broker from starting, and it says so without the password', async () => {
  const port = await findFreePort()
  const broker = run({ databaseUrl: `postgres://mesh:secret@127.0.0.1:${port}/mesh`, port: 0 })
  expect((await broker.ended).code).toBe(69)
  expect(broker.output).toMatch(/database/)
  expect(broker.output).not.toMatch(/secret/)
})

test('killed again and again under load, it keeps what it acknowledged, once, in order, without a gap', async () => {
  const databaseUrl = await freshDatabase()
  const traffic = await startTraffic(databaseUrl)
  const kills = 4
  let broker = traffic.broker
  for (let n = 0; n < kills; n += 1) {
    await eventually('traffic flows', () => traffic.received.count() > n * 200)
    await broker.process.kill()
    broker = await start({ databaseUrl, port: traffic.port })
  }
  await assertNothingLost(traffic, `broker kills: ${kills}`)
}, 180_000)

test('a database that crashes under load loses nothing acknowledged, and is found again by itself', async () => {
  const directory = makeClusterDirectory({ crashes: true })
  onTestFinished(() => PostgresCluster.removeAt(directory))
  const cluster = await PostgresCluster.start({ directory, durable: true })
  const traffic = await startTraffic(cluster.url)
  const { pid } = traffic.broker.process
  const crashes = 3
  for (let n = 0; n < crashes; n += 1) {
    await eventually('traffic flows', () => traffic.received.count() > n * 200)
    await cluster.crash()
    await eventually('the broker says that it is not ready', async () => (await ready(traffic.broker.url)) === 503)
    await cluster.restart()
    await eventually('the broker is ready again', async () => (await ready(traffic.broker.url)) === 200)
  }
  await assertNothingLost(traffic, `crashes of the database: ${crashes}`)
  expect(traffic.broker.process.ending, 'one process from the beginning to the end').toBeNull()
  expect(traffic.broker.process.pid).toBe(pid)
}, 180_000)

type Traffic = Awaited<ReturnType<typeof startTraffic>>

/** Three members that send to a fourth. */
async function startTraffic(databaseUrl: string) {
  const port = await findFreePort()
  const broker = await start({ databaseUrl, port })
  const { url } = broker
  const mesh = new RawMesh()
  const reader = mesh.join('reader')
  await (await RawMember.connect(url, reader)).close()
  const stop = new AbortController()
  const senders = [mesh.founder, mesh.join('b'), mesh.join('c')]
  const sending = senders.map((sender) => sendUntil(stop.signal, { url, sender, reader }))
  const received = receiveUntil(stop.signal, { url, reader })
  return { broker, port, url, reader, received, stop, sending }
}

async function assertNothingLost({ url, reader, received, stop, sending }: Traffic, what: string): Promise<void> {
  stop.abort()
  const accepted: readonly AcceptedSend[] = (await Promise.all(sending)).flat()
  await eventually(
    'everything accepted has been delivered',
    () => accepted.every(({ brokerMessageId }) => received.has(brokerMessageId)),
    { withinMs: 90_000 },
  )
  await received.end()
  const history = await readHistory(await RawMember.connect(url, reader))
  expect(history.map((item) => Number(item.history_id))).toEqual(history.map((_, n) => n + 1))
  expect(new Set(history.map((item) => `${item.sender}/${item.client_message_id}`)).size).toBe(history.length)
  // Every frame was sent until it was answered: what is in the history is what was acknowledged, no more and no less.
  const acknowledged = accepted.map(({ brokerMessageId }) => brokerMessageId)
  expect(history.map((item) => item.broker_message_id).toSorted()).toEqual(acknowledged.toSorted())
  console.log(`${what}, messages acknowledged: ${accepted.length}, in the history: ${history.length}`)
}

/** @returns the status of `/readyz` */
function ready(url: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    get(new URL('/readyz', url.replace(/^ws/, 'http')), (response) => {
      response.resume()
      resolve(response.statusCode)
    }).on('error', reject)
  })
}

function run({ databaseUrl, port }: { readonly databaseUrl: string; readonly port: number }): ManagedProcess {
  const broker = new ManagedProcess(['broker', 'start', '--port', String(port)], {
    CLAUDEMESH_BROKER_DATABASE_URL: databaseUrl,
    CLAUDEMESH_BROKER_LEASE_MS: '2000',
  })
  onTestFinished(async () => void (await broker.kill()))
  return broker
}

async function start({ databaseUrl, port = 0 }: { readonly databaseUrl: string; readonly port?: number }) {
  const process = run({ databaseUrl, port })
  const url = await eventually('the broker listens', () => {
    if (process.ending !== null) throw new Error(`the broker ended: ${process.output}`)
    return /broker listening on (\S+)\n/.exec(process.output)?.[1]
  })
  return { process, url }
}
