/** The relay of several brokers over one PostgreSQL (04 §6, §8). */
import { cpSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { awaitOffset, downloadTicket, randomBlob, requestBlob, uploadTicket } from '../support/blobs.ts'
import { eventually } from '../support/eventually.ts'
import { launchNode, startNode } from '../support/nodes.ts'
import { freshDatabase } from '../support/postgres.ts'
import { RawMember } from '../support/raw-member.ts'
import { RawMesh } from '../support/raw-mesh.ts'
import { scratchDirectory } from '../support/scratch-directory.ts'

const settings = (directory: string) => ({
  CLAUDEMESH_BROKER_BLOB_DIRECTORY: directory,
  CLAUDEMESH_BROKER_REGISTRATION: 'open',
  CLAUDEMESH_BROKER_JOB_INTERVAL_MS: '50',
})

const httpOf = (url: string) => new URL(url.replace(/^ws/, 'http')).origin

test('a blob goes up at two brokers, one of which is killed, and down at a third', async () => {
  const databaseUrl = await freshDatabase()
  const directory = join(scratchDirectory(), 'blobs')
  const nodes = [await startNode({ databaseUrl, env: settings(directory) })]
  for (let n = 0; n < 2; n += 1) nodes.push(await startNode({ databaseUrl, env: settings(directory) }))
  const [one, two, three] = nodes as [(typeof nodes)[0], (typeof nodes)[0], (typeof nodes)[0]]
  const mesh = new RawMesh()
  const bobIdentity = mesh.join('bob')
  const alice = await RawMember.connect(two.url, mesh.founder)
  const bob = await RawMember.connect(three.url, bobIdentity)
  const blob = randomBlob(3_000_000)
  const ticket = await uploadTicket(alice, blob, [bobIdentity])
  const first = await requestBlob(httpOf(one.url), blob.address, {
    method: 'PATCH',
    ticket,
    headers: { 'upload-offset': '0' },
    body: blob.bytes.subarray(0, 1_000_000),
  })
  expect(first.status).toBe(204)
  await one.process.kill()
  await awaitOffset(httpOf(two.url), blob, { ticket, offset: 1_000_000 })
  const rest = await requestBlob(httpOf(two.url), blob.address, {
    method: 'PATCH',
    ticket,
    headers: { 'upload-offset': '1000000' },
    body: blob.bytes.subarray(1_000_000),
  })
  expect(rest.status).toBe(201)
  const answer = await requestBlob(httpOf(three.url), blob.address, {
    method: 'GET',
    ticket: await downloadTicket(bob, blob),
  })
  expect(Buffer.from(await answer.arrayBuffer()).equals(blob.bytes)).toBe(true)
  await bob.request('blobs.acknowledge', { address: blob.address })
  await eventually('the bytes are gone', async () => {
    const metrics = await (await fetch(`${httpOf(two.url)}/metrics`)).text()
    return /^cm_broker_blobs 0$/m.test(metrics)
  })
})

test('a broker whose blobs would be somewhere else does not start, and says what to do', async () => {
  const databaseUrl = await freshDatabase()
  const scratch = scratchDirectory()
  await startNode({ databaseUrl, env: settings(join(scratch, 'shared')) })
  const apart = launchNode({ databaseUrl, env: settings(join(scratch, 'apart')) })
  await expect(apart).rejects.toThrow(/Give every broker the same directory/)
  // The same storage, mounted at another place.
  mkdirSync(join(scratch, 'mounted'), { mode: 0o700 })
  cpSync(join(scratch, 'shared/place'), join(scratch, 'mounted/place'))
  await startNode({ databaseUrl, env: settings(join(scratch, 'mounted')) })
})

test('brokers that are told no place for blobs relay none, and all else goes on', async () => {
  const { url } = await startNode({
    databaseUrl: await freshDatabase(),
    env: { CLAUDEMESH_BROKER_REGISTRATION: 'open' },
  })
  const mesh = new RawMesh()
  const member = RawMember.dial(url)
  await member.greet(url, mesh.founder)
  expect((await member.negotiate()).supported['artifact_relay']).toBeUndefined()
  const address = randomBlob(10).address
  expect(await member.call('blobs.acknowledge', { address })).toMatchObject({ status: 501, code: 'relay_unavailable' })
  expect((await fetch(`${httpOf(url)}/v1/blobs/${address}`)).status).toBe(404)
})
