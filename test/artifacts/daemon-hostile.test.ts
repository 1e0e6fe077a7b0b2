/** Clients that go away, that come all at once, and that ask for what they should not get; and disks that are full. */
import { randomBytes } from 'node:crypto'
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import { join } from 'node:path'
import type { ArtifactStats, FileList, IngestedArtifactFile } from '@claudemesh/protocol/artifacts'
import { describe, expect, onTestFinished, test } from 'vitest'
import { startDaemon } from '../support/daemon-in-process.ts'
import { eventually } from '../support/eventually.ts'
import { foundHome } from '../support/home.ts'
import { openDescriptors } from '../support/process-figures.ts'
import { scratchDirectory } from '../support/scratch-directory.ts'
import { canMount, mountSmallDisk, type SmallDisk } from '../support/small-disk.ts'
import { ArtifactsOf } from './daemon-client.ts'

async function artifactsOfDaemon(flags: Readonly<Record<string, string>> = {}) {
  const running = await startDaemon(foundHome(), { flags })
  const artifacts = new ArtifactsOf(() => running.daemon.socket)
  return { running, artifacts, id: await artifacts.newPackage() }
}

/** A PUT whose body is written by the test. */
function beginPut(
  socketPath: string,
  id: string,
  path: string,
  length: number,
  headers: Readonly<Record<string, string>> = {},
) {
  const outgoing = http.request({
    socketPath,
    method: 'PUT',
    path: `/v1/artifacts/packages/${id}/files/${path}`,
    headers: { 'content-length': String(length), ...headers },
    agent: false,
  })
  const answered = new Promise<number>((resolve, reject) => {
    outgoing.on('error', reject)
    outgoing.on('response', (answer) => {
      answer.resume()
      answer.on('end', () => resolve(answer.statusCode ?? 0))
      answer.on('error', reject)
    })
  })
  // Whoever breaks it off does not look.
  answered.catch(() => undefined)
  outgoing.flushHeaders()
  return { outgoing, answered }
}

const filesOf = async (artifacts: ArtifactsOf, id: string) =>
  ((await artifacts.get(`/packages/${id}/files`)).json as FileList).files

test('a client that goes away leaves nothing, wherever it was, and its place is free', async () => {
  const { running, artifacts, id } = await artifactsOfDaemon({
    'artifacts.limits.ingests_max': '1',
    'artifacts.limits.ingests_waiting_max': '1',
  })
  const { socket } = running.daemon
  await artifacts.file(id, 'first', 'x')
  const before = openDescriptors(process.pid)
  for (const written of [0, 1, 100_000, 999_999]) {
    const { outgoing } = beginPut(socket, id, 'gone', 1_000_000)
    if (written > 0) await new Promise((resolve) => outgoing.write(randomBytes(written), resolve))
    outgoing.destroy()
    await eventually('its place is free', async () => (await artifacts.put(id, `after-${written}`, 'x')).status === 201)
  }
  const names = (await filesOf(artifacts, id)).map(({ relative_path }) => relative_path)
  expect(names).toEqual(['after-0', 'after-1', 'after-100000', 'after-999999', 'first'])
  // After the whole body: it is taken, or it is not.
  const { outgoing } = beginPut(socket, id, 'gone', 10)
  outgoing.end(Buffer.alloc(10), () => outgoing.destroy())
  await eventually('its place is free', async () => (await artifacts.put(id, 'last', 'x')).status === 201)
  expect((await artifacts.get('/stats')).json as ArtifactStats).toMatchObject({
    unreferenced_bytes: expect.any(Number),
  })
  if (before !== null) await eventually('nothing is open', () => (openDescriptors(process.pid) ?? 0) <= before + 2)
})

test('of 300 files at once as many are taken as may, and the others are told to come again', async () => {
  const { running, artifacts, id } = await artifactsOfDaemon()
  const puts = Array.from({ length: 300 }, (_, n) => beginPut(running.daemon.socket, id, `file-${n}`, 10))
  let refused = 0
  for (const { outgoing, answered } of puts) {
    answered.then(
      (status) => {
        if (status === 429) refused += 1
      },
      () => undefined,
    )
    outgoing.write('first')
  }
  await eventually('those beyond the bound are refused', () => refused === 300 - 72)
  for (const { outgoing } of puts) if (!outgoing.destroyed) outgoing.end('final')
  const statuses = await Promise.all(puts.map(({ answered }) => answered.catch(() => 429)))
  expect(statuses.filter((status) => status === 201)).toHaveLength(72)
  expect(await filesOf(artifacts, id)).toHaveLength(72)
  expect((await artifacts.put(id, 'later', 'x')).status).toBe(201)
}, 30_000)

test('a storm of ranges, some of them broken off, gets the right bytes and leaves nothing open', async () => {
  const { running, artifacts, id } = await artifactsOfDaemon()
  const bytes = randomBytes(2_000_000)
  const { file_id } = await artifacts.file(id, 'x', bytes)
  const path = `/files/${file_id}/download`
  const before = openDescriptors(process.pid)
  let next = 0
  const lane = async () => {
    for (let n = next++; n < 600; n = next++) {
      const start = (n * 7919) % bytes.length
      const end = Math.min(bytes.length - 1, start + ((n * 104_729) % 300_000))
      const headers = { range: `bytes=${start}-${end}` }
      if (n % 5 === 0) {
        await new Promise<void>((resolve) => {
          const target = { socketPath: running.daemon.socket, path: `/v1/artifacts${path}`, agent: false }
          const outgoing = http.get(target, () => outgoing.destroy())
          outgoing.on('error', () => undefined)
          outgoing.on('close', () => resolve())
        })
        continue
      }
      const got = await artifacts.get(path, headers)
      expect([got.status, got.bytes.equals(bytes.subarray(start, end + 1))]).toEqual([206, true])
    }
  }
  await Promise.all(Array.from({ length: 24 }, lane))
  if (before !== null) await eventually('nothing is open', () => (openDescriptors(process.pid) ?? 0) <= before + 2)
}, 60_000)

test('a body that nobody wants is not asked for, and not read to its end', async () => {
  const { running, artifacts, id } = await artifactsOfDaemon()
  await artifacts.file(id, 'x', 'bytes')
  const putWhenAsked = async (path: string) => {
    const { outgoing, answered } = beginPut(running.daemon.socket, id, path, 3, { expect: '100-continue' })
    let isAsked = false
    outgoing.on('continue', () => {
      isAsked = true
      outgoing.end('abc')
    })
    const status = await answered
    outgoing.destroy()
    return [status, isAsked]
  }
  expect(await putWhenAsked('x')).toEqual([409, false])
  expect(await putWhenAsked('y')).toEqual([201, true])

  const { outgoing, answered } = beginPut(running.daemon.socket, id, 'x', 1_000_000_000)
  expect(await answered).toBe(409)
  await eventually('the connection is closed', () => outgoing.destroyed || outgoing.socket?.destroyed === true)
  outgoing.destroy()
})

test('bytes that are others than they should be are never given out whole', async () => {
  const { running, artifacts, id } = await artifactsOfDaemon()
  const damage = (file: IngestedArtifactFile, bytes: Uint8Array) => {
    const hex = file.content_address.slice('blake3:'.length)
    const path = join(running.host.paths.artifactsObjects, 'blake3', hex.slice(0, 2), hex.slice(2, 4), hex)
    chmodSync(path, 0o600)
    writeFileSync(path, bytes)
  }
  const small = await artifacts.file(id, 'small', 'the bytes')
  damage(small, Buffer.from('the bites'))
  expect(await artifacts.refusal({ method: 'GET', path: `/files/${small.file_id}/download` })).toEqual([
    500,
    'object_corrupt',
  ])
  const bytes = randomBytes(3_000_000)
  const large = await artifacts.file(id, 'large', bytes)
  bytes[0] = (bytes[0] ?? 0) ^ 1
  damage(large, bytes)
  await expect(artifacts.get(`/files/${large.file_id}/download`)).rejects.toThrow()
})

test('a file that does not fit into the budget is refused, before its bytes where it says how many they are', async () => {
  const { running, artifacts, id } = await artifactsOfDaemon({ 'disk.budget_bytes': '4000000' })
  const whole = await artifacts.put(id, 'x', randomBytes(100), { 'content-length': '100' })
  expect(whole.status).toBe(201)
  const { outgoing, answered } = beginPut(running.daemon.socket, id, 'y', 50_000_000)
  expect(await answered).toBe(507)
  outgoing.destroy()
  const streamed = artifacts.put(id, 'z', randomBytes(8_000_000), { 'transfer-encoding': 'chunked' })
  expect(await streamed.then(({ status }) => status)).toBe(507)
  expect((await filesOf(artifacts, id)).map(({ relative_path }) => relative_path)).toEqual(['x'])
})

describe.skipIf(!canMount)('a full disk', { timeout: 60_000 }, () => {
  function smallDisk(bytes: number): SmallDisk {
    const disk = mountSmallDisk(scratchDirectory(), bytes)
    onTestFinished(() => disk.unmount())
    return disk
  }

  test('under the bytes refuses the file, keeps nothing of it, and takes it when there is room', async () => {
    const disk = smallDisk(16 * 1024 * 1024)
    const { running, artifacts, id } = await artifactsOfDaemon({ 'artifacts.storage_root': join(disk.path, 'objects') })
    await artifacts.file(id, 'before', 'x')
    disk.fill(1024 * 1024)
    const body = randomBytes(3_000_000)
    const full = await artifacts.put(id, 'x', body)
    expect([full.status, full.json]).toMatchObject([507, { code: 'insufficient_storage' }])
    expect(full.bytes.toString()).not.toContain(disk.path)
    expect((await running.post('/v1/send', { to: '#a', message: 'goes on' })).status).toBe(202)
    expect((await artifacts.put(id, 'small', 'still fits')).status).toBe(201)
    disk.empty()
    expect((await artifacts.put(id, 'x', body)).status).toBe(201)
    expect((await filesOf(artifacts, id)).map(({ relative_path }) => relative_path)).toEqual(['before', 'small', 'x'])
  })

  test('under the database refuses what cannot be written down, and goes on when there is room', async () => {
    const disk = smallDisk(8 * 1024 * 1024)
    mkdirSync(join(disk.path, 'db'), { mode: 0o700 })
    const { running, artifacts, id } = await artifactsOfDaemon({
      'artifacts.database_url': `sqlite:${join(disk.path, 'db', 'registry.db')}`,
    })
    disk.fill(0)
    const metadata = { text: 'x'.repeat(60_000) }
    const made: number[] = []
    const body = { name: 'p', producer: 'ci', retention_class: 'transient', metadata }
    for (let n = 0; n < 40 && made.at(-1) !== 507; n += 1) made.push((await artifacts.post('/packages', body)).status)
    expect(made.at(-1)).toBe(507)
    const refused = await artifacts.post('/packages', body)
    expect([refused.status, refused.json]).toMatchObject([507, { code: 'insufficient_storage' }])
    expect(refused.bytes.toString()).not.toContain(disk.path)
    expect((await running.post('/v1/send', { to: '#a', message: 'goes on' })).status).toBe(202)
    expect((await artifacts.get(`/packages/${id}`)).status).toBe(200)
    disk.empty()
    await eventually('it is taken', async () => (await artifacts.post('/packages', body)).status === 201)
    const taken = made.filter((status) => status === 201).length
    expect((await artifacts.get('/stats')).json).toMatchObject({ packages: taken + 2 })
    expect((await artifacts.post('/maintenance/replay')).status).toBe(200)
  })
})
