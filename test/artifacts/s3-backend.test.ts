/** Objects in a bucket: the contract of every backend, uploads in parts, and a server that is not there. */
import { randomBytes } from 'node:crypto'
import { readdirSync, statSync } from 'node:fs'
import { createServer as createHttpServer } from 'node:http'
import { type AddressInfo, connect, createServer } from 'node:net'
import { join } from 'node:path'
import {
  Backends,
  digestBytes,
  formatContentAddress,
  InProcessDataPlane,
  type S3Backend,
  storageBackendCases,
} from '@claudemesh/artifacts'
import { describe, expect, onTestFinished, test } from 'vitest'
import { hasS3Server, noServer, openS3Backend, type S3Server, useS3Server } from './s3-server.ts'

const addressOf = (bytes: Uint8Array) => formatContentAddress(digestBytes(bytes).primary)
const partBytes = 8 * 1024 * 1024
/** Three parts, the last of which is short. */
const large = randomBytes(2 * partBytes + 12_345)

async function* source(bytes: Uint8Array, pieceBytes = 1_000_003): AsyncIterable<Uint8Array> {
  for (let start = 0; start < bytes.length; start += pieceBytes) yield bytes.subarray(start, start + pieceBytes)
}

async function read(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of body) chunks.push(chunk)
  return Buffer.concat(chunks)
}

function planeOver(backend: S3Backend): InProcessDataPlane {
  const backends = new Backends()
  backends.register(backend)
  return new InProcessDataPlane({ backends, backendIdDefault: backend.backendId })
}

async function addresses(backend: S3Backend): Promise<string[]> {
  const found: string[] = []
  for await (const { address } of backend.list()) found.push(address)
  return found
}

function filesBelow(directory: string): string[] {
  const entries = readdirSync(directory, { recursive: true, withFileTypes: true })
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
}

const server = useS3Server()

/** The same server behind a connection that breaks after so many bytes of answers. */
async function cutting(whole: S3Server, bytesMax: number): Promise<S3Server> {
  const { hostname, port } = new URL(whole.endpointUrl)
  const relay = createServer((client) => {
    const upstream = connect(Number(port), hostname)
    let passed = 0
    upstream.on('data', (bytes) => {
      passed += bytes.length
      if (passed > bytesMax) client.destroy()
      else client.write(bytes)
    })
    client.pipe(upstream)
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      from.on('error', () => to.destroy())
      from.on('close', () => to.destroy())
    }
  })
  await new Promise<void>((resolve) => relay.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void relay.close())
  return { ...whole, endpointUrl: `http://127.0.0.1:${(relay.address() as AddressInfo).port}` }
}

describe.skipIf(!hasS3Server)('a bucket does what every backend does', () => {
  test.each(storageBackendCases.map(({ name, run }) => [name, run] as const))('%s', async (_, run) => {
    const { backend } = await openS3Backend(server())
    await run(backend)
  })
})

/** How many bytes of objects and of parts the server has on its disk; of another's server nobody knows. */
function keptBytes(): number {
  const devices = server().swift?.devices
  const files = devices === undefined ? [] : filesBelow(devices).filter((path) => path.endsWith('.data'))
  return files.reduce((sum, path) => sum + statSync(path).size, 0)
}

describe.skipIf(!hasS3Server)('a large object', () => {
  test('goes through the spool in parts when its address is not known', async () => {
    const { backend, spoolRoot } = await openS3Backend(server())
    const plane = planeOver(backend)
    const { receipt } = await plane.ingestStream(source(large))
    expect(receipt).toMatchObject({ contentAddress: addressOf(large), sizeBytes: large.length, existed: false })
    expect((await read((await plane.serveObject(addressOf(large))).body)).equals(large)).toBe(true)
    expect(filesBelow(spoolRoot).filter((path) => !/lock(-journal)?$/.test(path))).toEqual([])
    const again = await plane.ingestStream(source(large), { expected: addressOf(large) })
    expect(again.deduplicated).toBe(true)
  })

  test('goes straight to the bucket when its address is known, and is there at its end only', async () => {
    const { backend, spoolRoot } = await openS3Backend(server())
    const plane = planeOver(backend)
    const spooled: number[] = []
    async function* watched(): AsyncIterable<Uint8Array> {
      for await (const chunk of source(large)) {
        spooled.push(filesBelow(spoolRoot).filter((path) => !/lock(-journal)?$/.test(path)).length)
        yield chunk
      }
      expect(await addresses(backend)).toEqual([])
    }
    const { receipt } = await plane.ingestStream(watched(), { expected: addressOf(large) })
    expect(receipt).toMatchObject({ sizeBytes: large.length, existed: false, healed: false })
    expect(Math.max(...spooled)).toBe(0)
    expect((await read((await plane.serveObject(addressOf(large))).body)).equals(large)).toBe(true)
    const { body } = await backend.get(addressOf(large), { start: partBytes - 3, end: partBytes + 3 })
    expect((await read(body)).equals(large.subarray(partBytes - 3, partBytes + 4))).toBe(true)
  })

  test('that is another one than expected leaves nothing, not even parts', async () => {
    const { backend } = await openS3Backend(server())
    const kept = keptBytes()
    const plane = planeOver(backend)
    const expected = addressOf(Buffer.from('something else'))
    await expect(plane.ingestStream(source(large), { expected })).rejects.toMatchObject({ code: 'digest_mismatch' })
    const failing = async function* () {
      yield* source(large)
      throw new Error('the source is gone')
    }
    await expect(plane.ingestStream(failing(), { expected })).rejects.toThrow('the source is gone')
    expect(await addresses(backend)).toEqual([])
    expect(keptBytes()).toBe(kept)
  })
})

test.skipIf(!hasS3Server)('an object of another size is replaced', async () => {
  const { backend } = await openS3Backend(server())
  const bytes = Buffer.from('all of it')
  await backend.put(addressOf(bytes), source(bytes.subarray(0, 3)))
  expect(await backend.put(addressOf(bytes), source(bytes))).toMatchObject({ existed: false, healed: true })
  expect(await read((await backend.get(addressOf(bytes))).body)).toEqual(bytes)
})

test.skipIf(!hasS3Server)('what others keep below the prefix is neither listed nor in the way', async () => {
  const outer = await openS3Backend(server())
  const inner = await openS3Backend(server(), { keyPrefix: `${outer.keyPrefix}/blake3` })
  await inner.backend.put(addressOf(Buffer.from('inner')), source(Buffer.from('inner')))
  await outer.backend.put(addressOf(Buffer.from('outer')), source(Buffer.from('outer')))
  expect(await addresses(outer.backend)).toEqual([addressOf(Buffer.from('outer'))])
  expect(await addresses(inner.backend)).toEqual([addressOf(Buffer.from('inner'))])
})

describe.skipIf(!hasS3Server)('a bucket that cannot be used', () => {
  const address = addressOf(Buffer.from('x'))
  const operations = (backend: S3Backend): readonly (() => Promise<unknown>)[] => [
    () => backend.put(address, source(Buffer.from('x'))),
    () => backend.get(address),
    () => backend.head(address),
    () => backend.delete(address),
    () => backend.stage({ expected: address }),
    () => addresses(backend),
  ]
  const unavailable = { code: 'backend_unavailable', status: 503 }

  test('since its server is gone: every operation says so, and works when it is back', async ({ skip }) => {
    const { swift } = server()
    if (swift === null) return skip('the server of another is not stopped')
    const { backend } = await openS3Backend(server())
    await swift.killProxy()
    for (const operation of operations(backend)) await expect(operation()).rejects.toMatchObject(unavailable)
    expect(await backend.health()).toMatchObject({ healthy: false, readOnly: false })
    await swift.startProxy()
    await operations(backend)[0]?.()
    expect(await backend.health()).toMatchObject({ healthy: true, detail: null })
  })

  test('since the keys are wrong', async () => {
    const keys = { ...server().keys, secret: 'not the one' }
    const { backend } = await openS3Backend({ ...server(), keys })
    for (const operation of operations(backend)) await expect(operation()).rejects.toMatchObject(unavailable)
    expect(await backend.health()).toMatchObject({ healthy: false, readOnly: false })
  })

  test('since it does not exist', async () => {
    const { backend } = await openS3Backend(server(), { bucket: 'no-such-bucket' })
    await expect(operations(backend)[0]?.()).rejects.toMatchObject(unavailable)
    expect(await backend.health()).toMatchObject({ healthy: false, readOnly: false })
  })

  test('since the connection breaks within an object: a part of it is never taken for all of it', async () => {
    const { backend, keyPrefix } = await openS3Backend(server())
    await backend.put(addressOf(large), source(large))
    const cut = await openS3Backend(await cutting(server(), 1_000_000), { keyPrefix })
    const { body } = await cut.backend.get(addressOf(large))
    await expect(read(body)).rejects.toMatchObject({
      code: expect.stringMatching(/^(backend_unavailable|storage_io)$/),
    })
  })
})

test('an object in a class of storage that has to be asked first is restore_required', async () => {
  const answer = '<?xml version="1.0"?><Error><Code>InvalidObjectState</Code><Message>archived</Message></Error>'
  const archive = createHttpServer((request, response) => {
    request.resume()
    response.writeHead(403, { 'content-type': 'application/xml', 'content-length': answer.length }).end(answer)
  })
  await new Promise<void>((resolve) => archive.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void archive.close())
  const endpointUrl = `http://127.0.0.1:${(archive.address() as AddressInfo).port}`
  const { backend } = await openS3Backend({ ...noServer, endpointUrl })
  await expect(backend.get(addressOf(large))).rejects.toMatchObject({ code: 'restore_required' })
})

describe('settings', () => {
  test.each([
    ['a part that is too small', { multipartChunkBytes: partBytes - 1 }, RangeError],
    ['a threshold below a part', { multipartChunkBytes: partBytes + 1 }, RangeError],
    ['a threshold that is too large', { multipartThresholdBytes: 64 * 1024 * 1024 + 1 }, RangeError],
    ['a key in the place of its reference', { secretKeyRef: 'wJalrXUtnFEMI' }, RangeError],
    ['a relative path', { secretKeyRef: 'file:secret' }, RangeError],
    ['a variable that is not set', { secretKeyRef: 'env:CLAUDEMESH_TEST_NO_SUCH_VARIABLE' }, /there is no secret/],
    ['a file that is not there', { accessKeyRef: 'file:/nowhere/none' }, /ENOENT/],
  ])('%s is refused', async (_, change, expected) => {
    await expect(openS3Backend(noServer, change)).rejects.toThrow(expected)
  })

  test('keys are read from the environment too', async () => {
    process.env['CLAUDEMESH_TEST_S3_KEY_IN_ENVIRONMENT'] = 'S3RVER'
    onTestFinished(() => {
      delete process.env['CLAUDEMESH_TEST_S3_KEY_IN_ENVIRONMENT']
    })
    const { backend } = await openS3Backend(noServer, { accessKeyRef: 'env:CLAUDEMESH_TEST_S3_KEY_IN_ENVIRONMENT' })
    expect(backend.backendId).toBe('s3')
  })
})
