/** The broker as a service: health, metrics, restart, one process per directory. */
import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import BetterSqlite3 from 'better-sqlite3'
import { expect, test } from 'vitest'
import { DataDirectory, readBrokerEndpoint } from '../../apps/broker/src/data-directory.ts'
import { brokerStatus } from '../../apps/broker/src/status.ts'
import { startBroker } from '../support/raw-broker.ts'
import { message, RawMember } from '../support/raw-member.ts'
import { RawMesh } from '../support/raw-mesh.ts'
import { scratchDirectory } from '../support/scratch-directory.ts'

test('health, readiness and metrics are served, and nothing else is', async () => {
  const { httpUrl, url } = await startBroker()
  const { founder } = new RawMesh()
  const member = await RawMember.connect(url, founder)
  await member.postOne(message({ to: { kind: 'dm', ref: founder.memberId } }))
  expect((await fetch(`${httpUrl}/healthz`)).status).toBe(200)
  expect((await fetch(`${httpUrl}/readyz`)).status).toBe(200)
  const metrics = await (await fetch(`${httpUrl}/metrics`)).text()
  expect(metrics).toContain('cm_broker_connections{state="open"} 1')
  expect(metrics).toContain('cm_broker_sends_total{status="201"} 1')
  expect(metrics).toContain('cm_broker_deliveries_waiting 1')
  expect((await fetch(`${httpUrl}/v1/ws`)).status).toBe(404)
  expect((await fetch(`${httpUrl}/healthz`, { method: 'POST' })).status).toBe(405)
})

test('a stopping broker answers what it has taken and tells everybody to come back', async () => {
  const broker = await startBroker()
  const { founder } = new RawMesh()
  const member = await RawMember.connect(broker.url, founder)
  const items = Array.from({ length: 100 }, () => message({ to: { kind: 'dm', ref: founder.memberId } }))
  member.send({ type: 'send', items })
  await member.next('deliver')
  await broker.close()
  expect((await member.next('send_results')).items).toHaveLength(100)
  expect(await member.closing()).toMatchObject({ code: 1012 })
  await expect(fetch(`${broker.httpUrl}/healthz`)).rejects.toThrow()
})

test('settings of a mesh that keep messages for longer than their ids keep the broker from starting', async () => {
  const first = await startBroker()
  const { founder } = new RawMesh()
  await (await RawMember.connect(first.url, founder)).close()
  await first.close()
  const outside = new BetterSqlite3(join(first.data, 'broker.db'))
  outside.exec('UPDATE mesh SET message_retention_days = 60')
  outside.close()
  const refused = { code: 'config_invalid', message: expect.stringContaining(founder.mesh.mesh_id) }
  await expect(startBroker({ data: first.data })).rejects.toMatchObject(refused)
  const settings = { dedupeMode: 'permanent', dedupeRetentionDays: 30, messageRetentionDays: 30 } as const
  const second = await startBroker({
    data: first.data,
    settings: { ...settings, concurrencyPolicy: 'prefer_newest', blobQuotaBytes: 4_096 },
  })
  await (await RawMember.connect(second.url, founder)).settled()
})

test('ids, members and invites survive a restart', async () => {
  const first = await startBroker()
  const mesh = new RawMesh()
  const token = mesh.invite({ uses: 1 })
  const bob = mesh.join('bob', token)
  const b = await RawMember.connect(first.url, bob)
  const item = message({ to: { kind: 'dm', ref: bob.memberId } })
  const accepted = await b.postOne(item)
  await first.close()
  const second = await startBroker({ data: first.data, registration: 'closed' })
  const again = await RawMember.connect(second.url, bob)
  expect(await again.postOne(item)).toMatchObject({
    status: 200,
    broker_message_id: 'history_id' in accepted ? accepted.broker_message_id : '',
  })
  expect(await again.postOne(message({ to: { kind: 'dm', ref: bob.memberId } }))).toMatchObject({ history_id: '2' })
  const late = RawMember.dial(second.url)
  await expect(late.greet(second.url, mesh.join('late', token))).rejects.toThrow(/invite_used_up/)
})

test('one broker owns a directory, says where it listens, and leaves nothing that misleads', async () => {
  const data = join(scratchDirectory(), 'broker')
  const directory = DataDirectory.acquire(data)
  expect(() => DataDirectory.acquire(data)).toThrow(/another broker/)
  expect(readBrokerEndpoint(data)).toBeNull()
  const { url } = await startBroker({ data })
  directory.publish({ url, startedAt: 1 })
  expect(readBrokerEndpoint(data)).toEqual({ url, pid: process.pid })
  expect(await brokerStatus(data)).toEqual({ url, pid: process.pid, alive: true, ready: true })
  expect(statSync(join(data, 'broker.db')).mode & 0o077).toBe(0)
  directory.release()
  expect(readBrokerEndpoint(data)).toBeNull()
  expect(existsSync(join(data, 'pid'))).toBe(false)
  expect(await brokerStatus(data)).toBeNull()
})

test('a port that is taken is said so', async () => {
  const { url } = await startBroker()
  await expect(startBroker({ port: Number(new URL(url).port) })).rejects.toMatchObject({ code: 'start_failed' })
})
