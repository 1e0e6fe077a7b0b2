/** The relay for sealed blobs, over real sockets (04 §8). */
import { createHash, createHmac } from 'node:crypto'
import { existsSync, readdirSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import BetterSqlite3 from 'better-sqlite3'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { BrokerConfig } from '../../apps/broker/src/config.ts'
import { silentLog } from '../../apps/broker/src/log.ts'
import { systemRuntime } from '../../apps/broker/src/runtime.ts'
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
import { exchange, readAnswers } from '../support/raw-http.ts'
import { RawMember } from '../support/raw-member.ts'
import { RawMesh } from '../support/raw-mesh.ts'
import { recordingLog } from '../support/recording-log.ts'

async function startMesh(overrides: Partial<BrokerConfig> = {}, log = silentLog()) {
  const broker = await startBroker({ jobIntervalMs: 20, ...overrides }, systemRuntime(), log)
  const mesh = new RawMesh()
  const people = { bob: mesh.join('bob'), carol: mesh.join('carol') }
  const alice = await RawMember.connect(broker.url, mesh.founder)
  const bob = await RawMember.connect(broker.url, people.bob)
  const carol = await RawMember.connect(broker.url, people.carol)
  const objects = () =>
    readdirSync(join(broker.data, 'blobs/objects'), { recursive: true, encoding: 'utf8' }).filter((path) =>
      /[0-9a-f]{64}$/.test(path),
    ).length
  return { ...broker, mesh, people, alice, bob, carol, objects }
}

test('the relay is offered with its largest blob, or not at all', async () => {
  const mesh = new RawMesh()
  const { url } = await startBroker()
  const member = RawMember.dial(url)
  await member.greet(url, mesh.founder)
  const { supported } = await member.negotiate()
  expect(supported).toMatchObject({ artifact_relay: { version: 1 }, max_payload: { blob_bytes: 1024 ** 3 } })
  const { url: without } = await startBroker({ relay: null })
  const other = RawMember.dial(without)
  await other.greet(without, mesh.founder)
  const offered = (await other.negotiate()).supported
  expect(offered['artifact_relay']).toBeUndefined()
  expect(offered['max_payload']).toMatchObject({ blob_bytes: 64 * 1024 })
  const blob = randomBlob(10)
  expect(await other.call('blobs.acknowledge', { address: blob.address })).toMatchObject({ code: 'relay_unavailable' })
})

test('what one member uploads, whom it names downloads, whole and in ranges, and then it is gone', async () => {
  const { httpUrl, people, alice, bob, carol, objects } = await startMesh()
  const blob = randomBlob(3_000_000)
  await putBlob(httpUrl, blob, await uploadTicket(alice, blob, [people.bob]))
  const ticket = await downloadTicket(bob, blob)
  const whole = await requestBlob(httpUrl, blob.address, { method: 'GET', ticket })
  expect(whole.status).toBe(200)
  expect(whole.headers.get('etag')).toBe(`"${blob.address}"`)
  expect(Buffer.from(await whole.arrayBuffer()).equals(blob.bytes)).toBe(true)
  const part = await requestBlob(httpUrl, blob.address, { method: 'GET', ticket, headers: { range: 'bytes=2999990-' } })
  expect([part.status, part.headers.get('content-range')]).toEqual([206, 'bytes 2999990-2999999/3000000'])
  expect(Buffer.from(await part.arrayBuffer()).equals(blob.bytes.subarray(-10))).toBe(true)
  const beyond = await requestBlob(httpUrl, blob.address, {
    method: 'GET',
    ticket,
    headers: { range: 'bytes=3000000-' },
  })
  expect(await refusalOf(beyond)).toBe('416 range_not_satisfiable')
  const head = await requestBlob(httpUrl, blob.address, { method: 'HEAD', ticket })
  expect([head.status, head.headers.get('content-length')]).toEqual([200, '3000000'])
  expect(await carol.call('blobs.download', { address: blob.address, size_bytes: 3_000_000 })).toMatchObject({
    code: 'blob_not_found',
  })
  expect(objects()).toBeGreaterThan(0)
  await bob.request('blobs.acknowledge', { address: blob.address })
  const after = await requestBlob(httpUrl, blob.address, { method: 'GET', ticket })
  expect(await refusalOf(after)).toBe('404 blob_not_found')
  await eventually('the bytes are gone', () => objects() === 0)
})

test('an upload goes on where its connection broke, also after a restart of the broker', async () => {
  const first = await startMesh()
  const blob = randomBlob(2_000_000)
  const ticket = await uploadTicket(first.alice, blob, [first.people.bob])
  await breakUpload(first.httpUrl, blob, { ticket, bytes: 700_000 })
  await awaitOffset(first.httpUrl, blob, { ticket, offset: 700_000 })
  const wrong = await patch(first.httpUrl, blob, { ticket, from: 600_000 })
  expect(wrong.headers.get('upload-offset')).toBe('700000')
  expect(await refusalOf(wrong)).toBe('409 upload_offset_mismatch')
  await first.close()
  const second = await startBroker({ data: first.data })
  await awaitOffset(second.httpUrl, blob, { ticket, offset: 700_000 })
  const middle = await patch(second.httpUrl, blob, { ticket, from: 700_000, to: 1_500_000 })
  expect([middle.status, middle.headers.get('upload-offset')]).toEqual([204, '1500000'])
  const rest = await patch(second.httpUrl, blob, { ticket, from: 1_500_000 })
  expect([rest.status, rest.headers.get('upload-complete')]).toEqual([201, '?1'])
  const again = await patch(second.httpUrl, blob, { ticket, from: 0 })
  expect([again.status, again.headers.get('upload-complete')]).toEqual([200, '?1'])
  expect(readdirSync(join(first.data, 'blobs/uploads'))).toEqual([])
})

test('a newer request goes on with an upload whose old connection still hangs', async () => {
  const { httpUrl, people, alice } = await startMesh()
  const blob = randomBlob(1_000_000)
  const ticket = await uploadTicket(alice, blob, [people.bob])
  const hanging = sendHead(httpUrl, blob, { ticket, length: blob.bytes.length })
  hanging.write(blob.bytes.subarray(0, 100_000))
  await putBlob(httpUrl, blob, ticket)
  hanging.destroy()
})

test('two senders of equal bytes keep one object, and each must bring the bytes', async () => {
  const { httpUrl, people, alice, bob, carol, objects } = await startMesh()
  const blob = randomBlob(50_000)
  await putBlob(httpUrl, blob, await uploadTicket(alice, blob, [people.bob]))
  const before = objects()
  const ticket = await uploadTicket(carol, blob, [people.carol])
  expect(await carol.call('blobs.download', { address: blob.address, size_bytes: 50_000 })).toMatchObject({
    status: 404,
  })
  await putBlob(httpUrl, blob, ticket)
  expect(objects()).toBe(before)
  await bob.request('blobs.acknowledge', { address: blob.address })
  const still = await requestBlob(httpUrl, blob.address, { method: 'GET', ticket: await downloadTicket(carol, blob) })
  expect(Buffer.from(await still.arrayBuffer()).equals(blob.bytes)).toBe(true)
})

describe('is refused, and nothing is kept of it:', () => {
  test('a ticket that is none, for another address, another direction, or altered', async () => {
    const { httpUrl, people, alice, bob } = await startMesh()
    const blob = randomBlob(1_000)
    const other = randomBlob(1_000)
    const upload = await uploadTicket(alice, blob, [people.bob])
    const otherUpload = await uploadTicket(alice, other, [people.bob])
    await putBlob(httpUrl, blob, upload)
    const download = await downloadTicket(bob, blob)
    const [text = '', signature = ''] = download.split('.')
    const grant = JSON.parse(Buffer.from(text, 'base64url').toString()) as unknown[]
    const larger = Buffer.from(JSON.stringify(grant.with(4, 5_000))).toString('base64url')
    const ownKey = createHmac('sha256', Buffer.alloc(32))
      .update(`claudemesh blob ticket 1\n${text}`)
      .digest('base64url')
    const refused = [
      { method: 'GET', ticket: null },
      { method: 'GET', ticket: 'x' },
      { method: 'GET', ticket: '.' },
      { method: 'GET', ticket: upload },
      { method: 'GET', ticket: `${larger}.${signature}` },
      { method: 'GET', ticket: `${text}.${ownKey}` },
      { method: 'GET', ticket: `${text}.` },
      { method: 'PUT', ticket: download },
      { method: 'PUT', ticket: otherUpload },
    ] as const
    for (const { method, ticket } of refused) {
      const body = method === 'PUT' ? { body: blob.bytes } : {}
      const response = await requestBlob(httpUrl, blob.address, { method, ticket, ...body })
      expect(await refusalOf(response), `${method} ${ticket}`).toBe('401 ticket_invalid')
    }
  })

  test('a ticket whose time is over, and one of a member that was revoked since', async () => {
    let ahead = 0
    const runtime = { ...systemRuntime(), now: () => Date.now() + ahead }
    const { url, httpUrl } = await startBroker({}, runtime)
    const mesh = new RawMesh()
    const bobIdentity = mesh.join('bob')
    const alice = await RawMember.connect(url, mesh.founder)
    const bob = await RawMember.connect(url, bobIdentity)
    const blob = randomBlob(1_000)
    const ticket = await uploadTicket(alice, blob, [bobIdentity])
    await putBlob(httpUrl, blob, ticket)
    const download = await downloadTicket(bob, blob)
    ahead = 11 * 60_000
    const late = await requestBlob(httpUrl, blob.address, { method: 'GET', ticket: download })
    expect(await refusalOf(late)).toBe('401 ticket_invalid')
    ahead = 0
    const list = mesh.revoke({ members: [{ member_id: bobIdentity.memberId, at: Date.now() - 1_000 }] })
    await alice.request('revocations.put', list)
    const revoked = await requestBlob(httpUrl, blob.address, { method: 'GET', ticket: download })
    expect(await refusalOf(revoked)).toBe('404 blob_not_found')
  })

  test('bytes of another digest, too many of them, and more than were announced', async () => {
    const { httpUrl, people, alice, data } = await startMesh()
    const blob = randomBlob(1_000)
    const ticket = await uploadTicket(alice, blob, [people.bob])
    const put = (body: Uint8Array | AsyncIterable<Uint8Array>) =>
      requestBlob(httpUrl, blob.address, { method: 'PUT', ticket, body })
    expect(await refusalOf(await put(randomBlob(1_000).bytes))).toBe('422 digest_mismatch')
    expect(await refusalOf(await put(randomBlob(1_001).bytes))).toBe('422 size_mismatch')
    expect(await refusalOf(await put(randomBlob(999).bytes))).toBe('422 size_mismatch')
    expect(await refusalOf(await put(chunked(randomBlob(5_000).bytes)))).toBe('422 size_mismatch')
    await awaitOffset(httpUrl, blob, { ticket, offset: 0 })
    expect(readdirSync(join(data, 'blobs/uploads'))).toEqual([])
    await putBlob(httpUrl, blob, ticket)
  })

  test('an address that is none, whatever it tries', async () => {
    const { httpUrl, people, alice, data } = await startMesh()
    const blob = randomBlob(100)
    const ticket = await uploadTicket(alice, blob, [people.bob])
    const hex = blob.address.slice('blake3:'.length)
    for (const address of [
      '../../broker.db',
      '..%2f..%2fbroker.db',
      '%2e%2e/%2e%2e/broker.db',
      `blake3%3A${hex}`,
      `blake3:${hex.toUpperCase()}`,
      `blake3:${hex}/`,
      `blake3:${hex}?x=1`,
      `sha256:${hex}`,
      `blake3:${hex}%00`,
      '',
    ]) {
      const { hostname, port } = new URL(httpUrl)
      const head = `PUT /v1/blobs/${address} HTTP/1.1\r\nHost: ${hostname}\r\nConnection: close\r\n`
      const request = `${head}Authorization: Bearer ${ticket}\r\nContent-Length: 3\r\n\r\nabc`
      const [answer] = readAnswers(await exchange({ port: Number(port), host: hostname }, request))
      expect([answer?.status, JSON.parse(answer?.body ?? '{}').code], address).toEqual([400, 'invalid_content_address'])
    }
    expect(existsSync(join(data, 'blobs/objects/blake3'))).toBe(false)
    expect((await fetch(`${httpUrl}/v1/blobs/${blob.address}`, { method: 'DELETE' })).status).toBe(405)
  })

  test('a blob that is too large, has no time, too much time, nobody, or no room', async () => {
    const { alice, people, mesh } = await startMesh({
      settings: {
        dedupeMode: 'retention_scoped',
        dedupeRetentionDays: 30,
        messageRetentionDays: 30,
        concurrencyPolicy: 'prefer_newest',
        blobQuotaBytes: 10_000,
      },
    })
    const one = {
      address: randomBlob(1).address,
      size_bytes: 6_000,
      recipients: [people.bob.memberId],
      expires_at: Date.now() + 60_000,
    }
    const codeOf = async (params: object) => (await alice.call('blobs.upload', params)).code
    expect(await codeOf({ ...one, size_bytes: 2 * 1024 ** 3 })).toBe('blob_too_large')
    expect(await codeOf({ ...one, expires_at: Date.now() - 1 })).toBe('blob_expired')
    expect(await codeOf({ ...one, expires_at: Date.now() + 400 * 86_400_000 })).toBe('invalid_request')
    expect(await codeOf({ ...one, recipients: ['f'.repeat(64)] })).toBe('recipient_unknown')
    expect(await codeOf({ ...one, recipients: [] })).toBe('invalid_request')
    expect(await codeOf(one)).toBeUndefined()
    expect(await codeOf({ ...one, address: randomBlob(1).address })).toBe('blob_quota_exceeded')
    expect(await codeOf({ ...one, size_bytes: 5_999 })).toBe('size_mismatch')
    expect(await codeOf({ ...one, recipients: [mesh.founder.memberId] })).toBeUndefined()
  })
})

test('of many uploads of one member at once only some are taken, and the others told to wait', async () => {
  const { httpUrl, people, alice } = await startMesh()
  const blob = randomBlob(10_000)
  const others = Array.from({ length: 12 }, () => randomBlob(10_000))
  const open = []
  for (const other of others) {
    const ticket = await uploadTicket(alice, other, [people.bob])
    const socket = sendHead(httpUrl, other, { ticket, length: 10_000 })
    socket.write(other.bytes.subarray(0, 10))
    open.push(socket)
  }
  const ticket = await uploadTicket(alice, blob, [people.bob])
  await eventually('it is refused', async () => {
    const response = await requestBlob(httpUrl, blob.address, { method: 'PUT', ticket, body: blob.bytes })
    return response.status === 429 && response.headers.get('retry-after') === '1'
  })
  for (const socket of open) socket.destroy()
  await eventually('it is taken', async () => {
    const response = await requestBlob(httpUrl, blob.address, { method: 'PUT', ticket, body: blob.bytes })
    return response.status === 201 || response.status === 200
  })
})

test('a blob whose time is over is gone with its bytes, and says so', async () => {
  const { httpUrl, people, alice, bob, objects } = await startMesh()
  const blob = randomBlob(10_000)
  const upload = await uploadTicket(alice, blob, [people.bob], Date.now() + 2_000)
  await putBlob(httpUrl, blob, upload)
  const ticket = await downloadTicket(bob, blob)
  await eventually('the bytes are gone', () => objects() === 0)
  expect(await refusalOf(await requestBlob(httpUrl, blob.address, { method: 'GET', ticket }))).toBe('410 blob_expired')
  const again = { address: blob.address, size_bytes: 10_000 }
  expect(await bob.call('blobs.download', again)).toMatchObject({ status: 410, code: 'blob_expired' })
})

test('a blob whose bytes somebody removed ends when it is asked for, and can be sent again', async () => {
  const { httpUrl, people, alice, bob, data } = await startMesh()
  const blob = randomBlob(10_000)
  await putBlob(httpUrl, blob, await uploadTicket(alice, blob, [people.bob]))
  const ticket = await downloadTicket(bob, blob)
  rmSync(join(data, 'blobs/objects/blake3'), { recursive: true })
  expect(await refusalOf(await requestBlob(httpUrl, blob.address, { method: 'GET', ticket }))).toBe(
    '404 blob_not_found',
  )
  await putBlob(httpUrl, blob, await uploadTicket(alice, blob, [people.bob]))
  const response = await requestBlob(httpUrl, blob.address, { method: 'GET', ticket })
  expect(Buffer.from(await response.arrayBuffer()).equals(blob.bytes)).toBe(true)
})

describe('a transfer that stalls is ended:', () => {
  beforeEach(() => vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] }))
  afterEach(() => vi.useRealTimers())

  test('an upload within a minute, and it goes on from what had come', async () => {
    const { httpUrl, people, alice } = await startMesh()
    const blob = randomBlob(500_000)
    const ticket = await uploadTicket(alice, blob, [people.bob])
    const hanging = sendHead(httpUrl, blob, { ticket, length: blob.bytes.length })
    const answer: Buffer[] = []
    hanging.on('data', (chunk: Buffer) => answer.push(chunk))
    hanging.write(blob.bytes.subarray(0, 100_000))
    await eventually('the bytes have come', async () => (await transferred(httpUrl, 'upload')) === 100_000)
    // They came in the first half minute, and nothing in the second.
    vi.advanceTimersByTime(60_000)
    await eventually('it is answered', () => /^HTTP\/1.1 408 .*request_timeout/s.test(Buffer.concat(answer).toString()))
    await awaitOffset(httpUrl, blob, { ticket, offset: 100_000 })
    expect((await patch(httpUrl, blob, { ticket, from: 100_000 })).status).toBe(201)
    hanging.destroy()
  })

  test('a download whose reader reads no more', async () => {
    const { httpUrl, people, alice, bob } = await startMesh()
    const blob = randomBlob(32_000_000)
    await putBlob(httpUrl, blob, await uploadTicket(alice, blob, [people.bob]))
    const { hostname, port } = new URL(httpUrl)
    const socket = connect(Number(port), hostname).pause()
    socket.on('error', () => undefined)
    const authorization = `Authorization: Bearer ${await downloadTicket(bob, blob)}`
    socket.write(`GET /v1/blobs/${blob.address} HTTP/1.1\r\nHost: ${hostname}\r\n${authorization}\r\n\r\n`)
    let before = -1
    await eventually('nothing moves any more', async () => {
      const bytes = await transferred(httpUrl, 'download')
      const isStill = bytes > 0 && bytes === before
      before = bytes
      return isStill
    })
    vi.advanceTimersByTime(60_000)
    const ended = /^cm_broker_blob_transfers_total\{direction="download",result="broken"\} 1$/m
    await eventually('it is ended', async () => ended.test(await metricsOf(httpUrl)))
    socket.destroy()
  })
})

test('no ticket is in the database or in the log, whatever goes wrong', async () => {
  const { log, lines } = recordingLog('trace')
  const { httpUrl, people, alice, bob, data, close } = await startMesh({}, log)
  const blob = randomBlob(1_000_000)
  const upload = await uploadTicket(alice, blob, [people.bob])
  await requestBlob(httpUrl, blob.address, { method: 'PUT', ticket: upload, body: randomBlob(1_000_000).bytes })
  await requestBlob(httpUrl, blob.address, { method: 'GET', ticket: upload })
  await breakUpload(httpUrl, blob, { ticket: upload, bytes: 700_000 })
  await awaitOffset(httpUrl, blob, { ticket: upload, offset: 700_000 })
  await putBlob(httpUrl, blob, upload)
  const ticket = await downloadTicket(bob, blob)
  rmSync(join(data, 'blobs/objects/blake3'), { recursive: true })
  await requestBlob(httpUrl, blob.address, { method: 'GET', ticket })
  await close()
  const db = new BetterSqlite3(join(data, 'broker.db'))
  const dump = db.serialize().toString('latin1')
  db.close()
  const logged = JSON.stringify(lines)
  expect(logged).toContain('blob_missing')
  for (const secret of [upload, ticket].flatMap((text) => text.split('.'))) {
    expect(dump.includes(secret)).toBe(false)
    expect(dump.includes(createHash('sha256').update(secret).digest('hex'))).toBe(false)
    expect(logged.includes(secret)).toBe(false)
  }
})

async function metricsOf(httpUrl: string): Promise<string> {
  return (await fetch(`${httpUrl}/metrics`)).text()
}

/** Bytes of blobs that went over the wire. */
async function transferred(httpUrl: string, direction: 'upload' | 'download'): Promise<number> {
  const line = new RegExp(`^cm_broker_blob_bytes_total\\{direction="${direction}"\\} (\\d+)$`, 'm')
  return Number(line.exec(await metricsOf(httpUrl))?.[1] ?? 0)
}

function patch(httpUrl: string, blob: Blob, o: { ticket: string; from: number; to?: number }): Promise<Response> {
  return requestBlob(httpUrl, blob.address, {
    method: 'PATCH',
    ticket: o.ticket,
    headers: { 'upload-offset': String(o.from) },
    body: blob.bytes.subarray(o.from, o.to),
  })
}

/** Begins a PATCH from the first byte on, whose body is then written by the test. */
function sendHead(httpUrl: string, blob: Blob, o: { ticket: string; length: number }) {
  const { hostname, port } = new URL(httpUrl)
  const socket = connect(Number(port), hostname)
  socket.on('error', () => undefined)
  socket.write(
    `PATCH /v1/blobs/${blob.address} HTTP/1.1\r\nHost: ${hostname}\r\nAuthorization: Bearer ${o.ticket}\r\n` +
      `Upload-Offset: 0\r\nContent-Length: ${o.length}\r\n\r\n`,
  )
  return socket
}

/** Sends some bytes of a blob, and goes away. */
function breakUpload(httpUrl: string, blob: Blob, o: { ticket: string; bytes: number }): Promise<void> {
  const socket = sendHead(httpUrl, blob, { ticket: o.ticket, length: blob.bytes.length })
  return new Promise((resolve) => {
    socket.write(blob.bytes.subarray(0, o.bytes), () => socket.end(resolve))
  })
}

async function* chunked(bytes: Buffer) {
  for (let start = 0; start < bytes.length; start += 500) yield bytes.subarray(start, start + 500)
}
