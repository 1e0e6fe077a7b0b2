/** A daemon's side of the relay, over real brokers and networks that fail (04 §8). */
import { randomBytes } from 'node:crypto'
import type { ContentAddress } from '@claudemesh/artifacts'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { BrokerConfig } from '../../apps/broker/src/config.ts'
import { RelayClient, type RelayClientOptions } from '../../apps/daemon/src/relay/relay-client.ts'
import { MeshError, type Operation, type RequestParams, type RequestResult } from '../../packages/protocol/src/index.ts'
import { type Blob, putBlob, randomBlob, uploadTicket } from '../support/blobs.ts'
import { eventually } from '../support/eventually.ts'
import { findFreePort, TestBroker } from '../support/mesh.ts'
import { startBroker } from '../support/raw-broker.ts'
import { RawMember } from '../support/raw-member.ts'
import { type MemberIdentity, RawMesh } from '../support/raw-mesh.ts'
import { recordingLog } from '../support/recording-log.ts'
import { scratchDirectory } from '../support/scratch-directory.ts'
import { TcpCutter } from '../support/tcp-cutter.ts'

const never = new AbortController().signal

/** A link that connects again whenever it is used and is down. */
class RawLink {
  readonly #url: () => string
  readonly #identity: MemberIdentity
  #member: RawMember | null = null

  constructor(url: () => string, identity: MemberIdentity) {
    this.#url = url
    this.#identity = identity
  }

  async request<O extends Operation>(op: O, params: RequestParams<O>): Promise<RequestResult<O>> {
    try {
      if (this.#member === null || this.#member.socket.readyState !== 1) {
        this.#member = await RawMember.connect(this.#url(), this.#identity)
      }
      const { status, code, detail = '', result } = await this.#member.call(op, params)
      if (status === 200) return result as RequestResult<O>
      throw new MeshError(code as MeshError['code'], { detail })
    } catch (error) {
      this.#member = null
      throw error instanceof MeshError ? error : new MeshError('broker_unavailable', { cause: error })
    }
  }
}

async function openPair(overrides: Partial<BrokerConfig> = {}) {
  const broker = await startBroker({ jobIntervalMs: 50, ...overrides })
  const mesh = new RawMesh()
  const bobIdentity = mesh.join('bob')
  const client = (identity: MemberIdentity, url = broker.url, o: Partial<RelayClientOptions> = {}) => {
    const link = new RawLink(() => broker.url, identity)
    return clientOf(link, url, o)
  }
  // Whoever is a recipient has said hello once.
  await RawMember.connect(broker.url, bobIdentity)
  return { broker, mesh, bobIdentity, client, alice: client(mesh.founder), bob: client(bobIdentity) }
}

function clientOf(link: RawLink, brokerUrl: string, o: Partial<RelayClientOptions> = {}): RelayClient {
  const client = new RelayClient({
    brokerUrl,
    request: (op, params) => link.request(op, params),
    silenceMsMax: 30_000,
    random: Math.random,
    log: recordingLog().log,
    ...o,
  })
  onTestFinished(() => client.close())
  return client
}

test('a blob that one member uploads is downloaded by the other, from any byte on, and acknowledged twice', async () => {
  const { bobIdentity, alice, bob } = await openPair()
  const blob = randomBlob(3_000_000)
  await alice.upload(toUpload(blob, [bobIdentity]), { signal: never })
  await alice.upload(toUpload(blob, [bobIdentity], neverRead), { signal: never })
  for (const start of [0, 1, 2_999_999, 3_000_000]) {
    expect((await collect(bob, blob, start)).equals(blob.bytes.subarray(start))).toBe(true)
  }
  await bob.acknowledge(blob.address as ContentAddress)
  await bob.acknowledge(blob.address as ContentAddress)
  await expect(collect(bob, blob, 0)).rejects.toMatchObject({ code: 'blob_not_found' })
})

describe('over a network that breaks', () => {
  test('an upload goes on from what has arrived, connection after connection', async () => {
    const { broker, bobIdentity, mesh, client, bob } = await openPair()
    const cutter = await TcpCutter.start(Number(new URL(broker.httpUrl).port))
    const alice = client(mesh.founder, cutter.url)
    const blob = randomBlob(16_000_000)
    const starts: number[] = []
    cutter.cutAfterBytes = 700_000
    await alice.upload(
      toUpload(blob, [bobIdentity], (start) => {
        starts.push(start)
        return chunks(blob.bytes.subarray(start))
      }),
      { signal: never },
    )
    expect(starts.length).toBeGreaterThan(3)
    expect(starts).toEqual(starts.toSorted((a, b) => a - b))
    cutter.cutAfterBytes = Number.POSITIVE_INFINITY
    expect((await collect(bob, blob, 0)).equals(blob.bytes)).toBe(true)
  })

  test('a download goes on from what has arrived, connection after connection', async () => {
    const { broker, bobIdentity, alice, client } = await openPair()
    const cutter = await TcpCutter.start(Number(new URL(broker.httpUrl).port))
    const blob = randomBlob(16_000_000)
    await alice.upload(toUpload(blob, [bobIdentity]), { signal: never })
    cutter.cutAfterBytes = 900_000
    const bob = client(bobIdentity, cutter.url)
    expect((await collect(bob, blob, 0)).equals(blob.bytes)).toBe(true)
    expect(cutter.connections).toBeGreaterThan(4)
  })

  test('a download over which no byte comes any more goes on over another connection', async () => {
    const { broker, bobIdentity, alice, client } = await openPair()
    const cutter = await TcpCutter.start(Number(new URL(broker.httpUrl).port))
    const blob = randomBlob(4_000_000)
    await alice.upload(toUpload(blob, [bobIdentity]), { signal: never })
    cutter.stallAfterBytes = 1_500_000
    const bob = client(bobIdentity, cutter.url, { silenceMsMax: 300 })
    expect((await collect(bob, blob, 0)).equals(blob.bytes)).toBe(true)
    expect(cutter.connections).toBeGreaterThan(2)
  })

  test('no ticket is in the log, however often that happens', async () => {
    const { broker, bobIdentity, alice } = await openPair()
    const cutter = await TcpCutter.start(Number(new URL(broker.httpUrl).port))
    const blob = randomBlob(16_000_000)
    await alice.upload(toUpload(blob, [bobIdentity]), { signal: never })
    cutter.cutAfterBytes = 900_000
    const { log, lines } = recordingLog('trace')
    const link = new RawLink(() => broker.url, bobIdentity)
    const tickets: string[] = []
    const request: RelayClientOptions['request'] = async (op, params) => {
      const result = await link.request(op, params)
      if ('ticket' in result) tickets.push(result.ticket)
      return result
    }
    await collect(clientOf(link, cutter.url, { request, log }), blob, 0)
    expect(tickets.length).toBeGreaterThan(1)
    expect(lines.map(({ msg }) => msg)).toContain('blob_attempt_failed')
    for (const secret of tickets.flatMap((ticket) => ticket.split('.'))) {
      expect(JSON.stringify(lines)).not.toContain(secret)
    }
  })

  test('what moves nothing is given up, as something that can be tried later', async () => {
    const { bobIdentity, mesh, client } = await openPair()
    // The attempts wait for a random part of what they could: these for none of it.
    const dead = client(mesh.founder, `ws://127.0.0.1:${await findFreePort()}/v1/ws`, { random: () => 0 })
    const upload = dead.upload(toUpload(randomBlob(1_000), [bobIdentity]), { signal: never })
    await expect(upload).rejects.toMatchObject({ code: 'broker_unavailable', retryable: true })
  })
})

test('transfers go on after the broker was killed and started again, as often as that happens', async () => {
  const broker = new TestBroker(`${scratchDirectory()}/broker`, await findFreePort())
  onTestFinished(() => broker.kill())
  await broker.start()
  const mesh = new RawMesh()
  const bobIdentity = mesh.join('bob')
  const url = `${broker.url}/v1/ws`
  await RawMember.connect(url, mesh.founder)
  await RawMember.connect(url, bobIdentity)
  const alice = clientOf(new RawLink(() => url, mesh.founder), url)
  const bob = clientOf(new RawLink(() => url, bobIdentity), url)
  const blob = randomBlob(40_000_000)
  let reads = 0
  let kills = 0
  await alice.upload(
    toUpload(blob, [bobIdentity], async function* (start) {
      reads += 1
      let sent = 0
      for await (const chunk of chunks(blob.bytes.subarray(start))) {
        yield chunk
        sent += chunk.length
        if (sent > 35_000_000 && kills < 1) {
          kills += 1
          await broker.start()
        }
      }
    }),
    { signal: never },
  )
  expect(reads).toBeGreaterThan(1)
  const received: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of bob.download(toDownload(blob, 0), { signal: never })) {
    received.push(chunk)
    bytes += chunk.length
    if (bytes > kills * 10_000_000 && kills < 3) {
      kills += 1
      await broker.start()
    }
  }
  expect(Buffer.concat(received).equals(blob.bytes)).toBe(true)
  expect(kills).toBe(3)
}, 120_000)

test('what the broker refuses for good is thrown at once, by its code', async () => {
  const { bobIdentity, alice, bob, broker, mesh } = await openPair()
  const blob = randomBlob(2_000)
  const refused = (more: object) => alice.upload({ ...toUpload(blob, [bobIdentity]), ...more }, { signal: never })
  await expect(refused({ sizeBytes: 2 * 1024 ** 3 })).rejects.toMatchObject({ code: 'blob_too_large' })
  await expect(refused({ expiresAt: Date.now() - 1 })).rejects.toMatchObject({ code: 'blob_expired' })
  await expect(refused({ recipients: ['f'.repeat(64)] })).rejects.toMatchObject({ code: 'recipient_unknown' })
  await expect(collect(bob, blob, 0)).rejects.toMatchObject({ code: 'blob_not_found' })
  const other = { ...blob, bytes: randomBytes(2_000) }
  await expect(alice.upload(toUpload(other, [bobIdentity]), { signal: never })).rejects.toMatchObject({
    code: 'digest_mismatch',
  })
  const sender = await RawMember.connect(broker.url, mesh.founder)
  await putBlob(broker.httpUrl, blob, await uploadTicket(sender, blob, [bobIdentity]))
  const wrongSize = bob.download({ ...toDownload(blob, 0), sizeBytes: 1_999 }, { signal: never }).next()
  await expect(wrongSize).rejects.toMatchObject({ code: 'size_mismatch' })
})

test('a broker without a relay says so', async () => {
  const { bobIdentity, alice } = await openPair({ relay: null })
  const upload = alice.upload(toUpload(randomBlob(10), [bobIdentity]), { signal: never })
  await expect(upload).rejects.toMatchObject({ code: 'relay_unavailable' })
})

test('a source that fails is not the way: its error is thrown as it is, and nothing is tried again', async () => {
  const { bobIdentity, alice } = await openPair()
  let reads = 0
  const upload = alice.upload(
    toUpload(randomBlob(500_000), [bobIdentity], async function* () {
      reads += 1
      yield randomBytes(1_000)
      throw new MeshError('object_missing')
    }),
    { signal: never },
  )
  await expect(upload).rejects.toMatchObject({ code: 'object_missing' })
  expect(reads).toBe(1)
})

test('a transfer ends when it is told to', async () => {
  const { bobIdentity, alice, bob } = await openPair()
  const blob = randomBlob(500_000)
  const abort = new AbortController()
  const upload = alice.upload(
    toUpload(blob, [bobIdentity], async function* () {
      yield blob.bytes.subarray(0, 1_000)
      abort.abort(new MeshError('shutting_down'))
      await eventually('it is ended', () => false, { withinMs: 2_000 }).catch(() => undefined)
    }),
    { signal: abort.signal },
  )
  await expect(upload).rejects.toMatchObject({ code: 'shutting_down' })
  await alice.upload(toUpload(blob, [bobIdentity]), { signal: never })
  const later = new AbortController()
  const download = bob.download(toDownload(blob, 0), { signal: later.signal })
  await download.next()
  later.abort(new MeshError('shutting_down'))
  await expect(
    (async () => {
      while (!(await download.next()).done) await eventually('on', () => true)
    })(),
  ).rejects.toMatchObject({ code: 'shutting_down' })
})

function toUpload(
  blob: Blob,
  recipients: readonly MemberIdentity[],
  read: (start: number) => AsyncIterable<Uint8Array> = (start) => chunks(blob.bytes.subarray(start)),
) {
  return {
    address: blob.address as ContentAddress,
    sizeBytes: blob.bytes.length,
    recipients: recipients.map(({ memberId }) => memberId),
    expiresAt: Date.now() + 3_600_000,
    read,
  }
}

function toDownload(blob: Blob, start: number) {
  return { address: blob.address as ContentAddress, sizeBytes: blob.bytes.length, start }
}

async function collect(client: RelayClient, blob: Blob, start: number): Promise<Buffer> {
  const parts: Uint8Array[] = []
  for await (const chunk of client.download(toDownload(blob, start), { signal: never })) parts.push(chunk)
  return Buffer.concat(parts)
}

async function* chunks(bytes: Buffer) {
  for (let start = 0; start < bytes.length; start += 64 * 1024) yield bytes.subarray(start, start + 64 * 1024)
}

function neverRead(): AsyncIterable<Uint8Array> {
  throw new Error('what the broker has is not sent again')
}
