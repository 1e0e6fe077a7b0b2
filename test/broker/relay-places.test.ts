/** The relay where its disk is full, and where a bucket keeps the bytes (04 §8). */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { RelayConfig } from '../../apps/broker/src/config.ts'
import { hasS3Server, openS3Backend, s3Config, useS3Server } from '../artifacts/s3-server.ts'
import {
  awaitOffset,
  type Blob,
  downloadTicket,
  putBlob,
  randomBlob,
  refusalOf,
  requestBlob,
  uploadTicket,
} from '../support/blobs.ts'
import { eventually } from '../support/eventually.ts'
import { startBroker } from '../support/raw-broker.ts'
import { RawMember } from '../support/raw-member.ts'
import { RawMesh } from '../support/raw-mesh.ts'
import { scratchDirectory } from '../support/scratch-directory.ts'
import { canMount, mountSmallDisk } from '../support/small-disk.ts'

async function startRelay(relay: Omit<RelayConfig, 'bytesMax'>) {
  const broker = await startBroker({ jobIntervalMs: 20, relay: { ...relay, bytesMax: 1024 ** 3 } })
  const mesh = new RawMesh()
  const bobIdentity = mesh.join('bob')
  const alice = await RawMember.connect(broker.url, mesh.founder)
  const bob = await RawMember.connect(broker.url, bobIdentity)
  return {
    ...broker,
    relay,
    alice,
    bob,
    bobIdentity,
    reserve: (blob: Blob) => uploadTicket(alice, blob, [bobIdentity]),
  }
}

function append(
  httpUrl: string,
  blob: Blob,
  o: { readonly ticket: string; readonly from: number; readonly to?: number },
) {
  const headers = { 'upload-offset': String(o.from) }
  const body = blob.bytes.subarray(o.from, o.to)
  return requestBlob(httpUrl, blob.address, { method: 'PATCH', ticket: o.ticket, headers, body })
}

async function expectDownload(httpUrl: string, bob: RawMember, blob: Blob): Promise<void> {
  const ticket = await downloadTicket(bob, blob)
  const whole = await requestBlob(httpUrl, blob.address, { method: 'GET', ticket })
  expect(Buffer.from(await whole.arrayBuffer()).equals(blob.bytes)).toBe(true)
  const part = await requestBlob(httpUrl, blob.address, { method: 'GET', ticket, headers: { range: 'bytes=10-19' } })
  expect([part.status, Buffer.from(await part.arrayBuffer()).equals(blob.bytes.subarray(10, 20))]).toEqual([206, true])
}

test.skipIf(!canMount)(
  'a full disk refuses what does not fit, keeps what arrived, and takes the rest when there is room',
  async () => {
    const disk = mountSmallDisk(scratchDirectory(), 16 * 1024 * 1024)
    onTestFinished(() => disk.unmount())
    const directory = join(disk.path, 'blobs')
    const { httpUrl, alice, bob, reserve } = await startRelay({ directory, bucket: null })
    const [early, blob, small] = [randomBlob(100_000), randomBlob(4_000_000), randomBlob(1_000)]
    await putBlob(httpUrl, early, await reserve(early))
    const ticket = await reserve(blob)
    expect((await append(httpUrl, blob, { ticket, from: 0, to: 1_000_000 })).status).toBe(204)

    disk.fill(1_000_000)
    const refused = await append(httpUrl, blob, { ticket, from: 1_000_000 })
    const problem = (await refused.json()) as { readonly code: string }
    expect([refused.status, problem.code]).toEqual([507, 'insufficient_storage'])
    expect(JSON.stringify(problem)).not.toContain(disk.path)
    await awaitOffset(httpUrl, blob, { ticket, offset: 1_000_000 })
    const asked = { address: blob.address, size_bytes: blob.bytes.length }
    expect(await bob.call('blobs.download', asked)).toMatchObject({ code: 'blob_not_found' })
    // Everything else goes on: what fits, what is there, and messages.
    await putBlob(httpUrl, small, await reserve(small))
    await expectDownload(httpUrl, bob, early)
    expect(await alice.call('blobs.acknowledge', { address: early.address })).toMatchObject({ code: 'blob_not_found' })

    disk.empty()
    expect((await append(httpUrl, blob, { ticket, from: 1_000_000 })).status).toBe(201)
    await expectDownload(httpUrl, bob, blob)
    expect(readdirSync(join(directory, 'uploads'))).toEqual([])
  },
  30_000,
)

describe.skipIf(!hasS3Server)('a relay whose bytes are in a bucket', { timeout: 60_000 }, () => {
  const server = useS3Server()

  async function startOnBucket() {
    const { storageClass, sse, multipartChunkBytes, multipartThresholdBytes, ...bucket } = s3Config(server())
    const started = await startRelay({ directory: join(scratchDirectory(), 'blobs'), bucket })
    const { backend } = await openS3Backend(server(), { keyPrefix: bucket.keyPrefix })
    const objects = async () => {
      const addresses: string[] = []
      for await (const { address } of backend.list()) addresses.push(address)
      return addresses
    }
    return { ...started, objects }
  }

  test('takes an upload in pieces over a restart, gives it out whole and in ranges, and deletes it in the end', async () => {
    const { relay, data, url, httpUrl, alice, bob, bobIdentity, reserve, objects, close } = await startOnBucket()
    const blob = randomBlob(3_000_000)
    const ticket = await reserve(blob)
    expect((await append(httpUrl, blob, { ticket, from: 0, to: 1_000_000 })).status).toBe(204)
    expect(await objects()).toEqual([])
    const port = Number(new URL(url).port)
    await Promise.all([alice.close(), bob.close()])
    await close()
    const again = await startBroker({ data, port, jobIntervalMs: 20, relay: { ...relay, bytesMax: 1024 ** 3 } })
    await awaitOffset(again.httpUrl, blob, { ticket, offset: 1_000_000 })
    expect((await append(again.httpUrl, blob, { ticket, from: 1_000_000 })).status).toBe(201)
    expect(await objects()).toEqual([blob.address])
    const reader = await RawMember.connect(again.url, bobIdentity)
    await expectDownload(again.httpUrl, reader, blob)
    expect(readdirSync(join(relay.directory, 'uploads'))).toEqual([])
    await reader.request('blobs.acknowledge', { address: blob.address })
    await eventually('the bucket is empty', async () => (await objects()).length === 0)
  })

  test.skipIf(process.env['CLAUDEMESH_TEST_S3_ENDPOINT'] !== undefined)(
    'that cannot be reached keeps what has arrived, and has it published when it is back',
    async () => {
      const { httpUrl, bob, reserve, objects } = await startOnBucket()
      const blob = randomBlob(200_000)
      const ticket = await reserve(blob)
      await server().swift?.killProxy()
      const refused = await append(httpUrl, blob, { ticket, from: 0 })
      expect(await refusalOf(refused)).toBe('503 backend_unavailable')
      await awaitOffset(httpUrl, blob, { ticket, offset: blob.bytes.length })
      await server().swift?.startProxy()
      expect((await append(httpUrl, blob, { ticket, from: blob.bytes.length })).status).toBe(201)
      expect(await objects()).toEqual([blob.address])
      await expectDownload(httpUrl, bob, blob)
    },
  )
})
