/** The broker as a process of the built command: start, stop, a second one, and SIGKILL under load. */
import { randomBytes } from 'node:crypto'
import { closeSync, openSync, statSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { readBrokerEndpoint } from '../../apps/broker/src/data-directory.ts'
import { eventually } from '../support/eventually.ts'
import { ManagedProcess } from '../support/managed-process.ts'
import { findFreePort } from '../support/mesh.ts'
import { message, RawMember } from '../support/raw-member.ts'
import { RawMesh } from '../support/raw-mesh.ts'
import { scratchDirectory } from '../support/scratch-directory.ts'
import { readHistory, receiveUntil, sendUntil } from '../support/steady-traffic.ts'

test('SIGTERM answers, says goodbye, leaves no trace of a running broker, and exits 0', async () => {
  const data = join(scratchDirectory(), 'broker')
  const { process, url } = await start(data, 0)
  const { founder } = new RawMesh()
  const member = await RawMember.connect(url, founder)
  await member.postOne(message({ to: { kind: 'dm', ref: founder.memberId } }))
  process.signal('SIGTERM')
  expect(await member.closing()).toMatchObject({ code: 1012, reason: { kind: 'service_restart' } })
  expect(await process.ended).toEqual({ code: 0, signal: null })
  expect(readBrokerEndpoint(data)).toBeNull()
})

test('a second broker on one directory does not come up, and the first does not notice', async () => {
  const data = join(scratchDirectory(), 'broker')
  const { url } = await start(data, 0)
  const second = run(data, 0)
  expect((await second.ended).code).not.toBe(0)
  expect(second.output).toMatch(/another broker runs/)
  await (await RawMember.connect(url, new RawMesh().founder)).settled()
  expect(readBrokerEndpoint(data)).toMatchObject({ url })
})

test('a broker that nobody uses leaves when it was told to, and not before', async () => {
  const data = join(scratchDirectory(), 'broker')
  const { process, url } = await start(data, 0, { CLAUDEMESH_BROKER_IDLE_EXIT_MS: '300' })
  const member = await RawMember.connect(url, new RawMesh().founder)
  const connectedAt = performance.now()
  await eventually('longer than the idle time has passed', async () => {
    await member.settled()
    return performance.now() > connectedAt + 800
  })
  await member.close()
  expect(await process.ended).toEqual({ code: 0, signal: null })
})

test('killed again and again under load, it keeps what it acknowledged, once, in order, without a gap', async () => {
  const data = join(scratchDirectory(), 'broker')
  const port = await findFreePort()
  let broker = await start(data, port)
  const mesh = new RawMesh()
  const reader = mesh.join('reader')
  await (await RawMember.connect(broker.url, reader)).close()
  const senders = [mesh.founder, mesh.join('b'), mesh.join('c')]
  const stop = new AbortController()
  const sending = senders.map((sender) => sendUntil(stop.signal, { url: broker.url, sender, reader }))
  const received = receiveUntil(stop.signal, { url: broker.url, reader })

  const kills = 6
  for (let n = 0; n < kills; n += 1) {
    await eventually('traffic flows', () => received.count() > n * 300)
    await broker.process.kill()
    broker = await start(data, port)
  }
  stop.abort()
  const accepted = (await Promise.all(sending)).flat()

  // Every send was accepted in the end, and asking again gives the same answer.
  const member = await RawMember.connect(broker.url, senders[0] ?? reader)
  for (const { item, brokerMessageId } of accepted.filter((each) => each.sender === senders[0]).slice(0, 200)) {
    expect(await member.postOne(item)).toMatchObject({ status: 200, broker_message_id: brokerMessageId })
  }
  await eventually('everything accepted has been delivered', () =>
    accepted.every(({ brokerMessageId }) => received.has(brokerMessageId)),
  )
  await received.end()

  const history = await readHistory(await RawMember.connect(broker.url, reader))
  expect(history.map((item) => Number(item.history_id))).toEqual(history.map((_, n) => n + 1))
  expect(new Set(history.map((item) => `${item.sender}/${item.client_message_id}`)).size).toBe(history.length)
  // Every frame was sent until it was answered: what is in the history is what was acknowledged, no more and no less.
  const acknowledged = accepted.map(({ brokerMessageId }) => brokerMessageId)
  expect(history.map((item) => item.broker_message_id).toSorted()).toEqual(acknowledged.toSorted())
  console.log(`broker kills: ${kills}, messages acknowledged: ${accepted.length}, in the history: ${history.length}`)
}, 120_000)

test('a database that is damaged under it ends the broker, so that its supervisor hears of it', async () => {
  const data = join(scratchDirectory(), 'broker')
  const { process, url } = await start(data, 0)
  const mesh = new RawMesh()
  const reader = mesh.join('reader')
  const member = await RawMember.connect(url, reader)
  const sender = await RawMember.connect(url, mesh.founder)
  const sealed = randomBytes(60_000)
  // More than the broker keeps of its file in memory.
  for (let n = 0; n < 30; n += 1) {
    const to = { kind: 'dm', ref: reader.memberId } as const
    await sender.post(Array.from({ length: 10 }, () => message({ to, sealed })))
  }
  for (const name of ['broker.db', 'broker.db-wal']) {
    const path = join(data, name)
    const file = openSync(path, 'r+')
    // The first page stays: what is damaged is met only where it is read.
    writeSync(file, Buffer.alloc(statSync(path).size - 8192, 0x5a), 0, undefined, 8192)
    closeSync(file)
  }
  // Whoever reads the damaged page first ends the broker: this request, which is then answered by an
  // error, or a job of the broker's own, which closes the connection. Neither may answer it with rows.
  const met = await member.call('history.page', { after: '0', since: 0, limit: 256 }).then(
    (response) => response.code ?? 'answered',
    (closed: Error) => closed.message,
  )
  expect(met).toMatch(/^storage_failed$|the connection was closed/)
  expect(await process.ended).toEqual({ code: 74, signal: null })
})

function run(data: string, port: number, env: Readonly<Record<string, string>> = {}): ManagedProcess {
  const process = new ManagedProcess(['broker', 'start', '--data', data, '--port', String(port)], env)
  onTestFinished(async () => {
    await process.kill()
  })
  return process
}

async function start(data: string, port: number, env: Readonly<Record<string, string>> = {}) {
  const process = run(data, port, env)
  const url = await eventually('the broker listens', () => {
    if (process.ending !== null) throw new Error(`the broker ended: ${process.output}`)
    return /broker listening on (\S+)\n/.exec(process.output)?.[1]
  })
  return { process, url }
}
