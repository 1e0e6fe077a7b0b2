/** What a store does when bytes are damaged, bounds are met, and others work on the same files. */
import { once } from 'node:events'
import { chmodSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { openRegistry, type Registry, type RegistryConfig } from '@claudemesh/artifacts'
import { describe, expect, onTestFinished, test } from 'vitest'
import { scratchDirectory } from '../support/scratch-directory.ts'
import { engines } from './engines.ts'

const actor = 'local'
const place = { relativePath: 'a', mediaType: 'text/plain', actor }

async function open(o: Partial<RegistryConfig> = {}) {
  const databaseUrl = o.databaseUrl ?? (await engines[0]?.freshUrl()) ?? ''
  const storageRoot = o.storageRoot ?? join(scratchDirectory(), 'objects')
  const registry = await openRegistry({ ...o, databaseUrl, storageRoot })
  onTestFinished(() => registry.close())
  return { registry, databaseUrl, storageRoot }
}

async function make(registry: Registry): Promise<string> {
  const draft = { name: 'p', producer: 'test', retentionClass: 'transient', actor }
  return (await registry.createPackage(draft)).packageId
}

async function* bytesOf(...chunks: readonly (string | Uint8Array)[]): AsyncIterable<Uint8Array> {
  for (const chunk of chunks) yield Buffer.from(chunk)
}

async function read(registry: Registry, fileId: string): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of (await registry.getFile(fileId)).body) chunks.push(chunk)
  return Buffer.concat(chunks)
}

const content = Buffer.alloc(300_000, 'content')

/** A store with one file, and the path of its object. */
async function openWithFile(o: Partial<RegistryConfig> = {}) {
  const { registry, storageRoot } = await open(o)
  const packageId = await make(registry)
  const file = await registry.ingestFile(packageId, { ...place, source: bytesOf(content) })
  const [algorithm = '', hex = ''] = file.contentAddress.split(':')
  const path = join(storageRoot, algorithm, hex.slice(0, 2), hex.slice(2, 4), hex)
  return { registry, packageId, file, path }
}

function damage(path: string): void {
  chmodSync(path, 0o600)
  writeFileSync(path, Buffer.alloc(content.length, 'CONTENT'))
}

describe('bytes that are damaged', () => {
  test('are never served whole, are known to be damaged then, and are healed by equal bytes that come in', async () => {
    const { registry, packageId, file, path } = await openWithFile()
    damage(path)
    const { body } = await registry.getFile(file.fileId)
    let received = 0
    const reading = (async () => {
      for await (const chunk of body) received += chunk.length
    })()
    await expect(reading).rejects.toMatchObject({ code: 'object_corrupt' })
    expect(received).toBeLessThan(content.length)
    await expect(registry.getFile(file.fileId)).rejects.toMatchObject({ code: 'object_corrupt' })
    await registry.ingestFile(await make(registry), { ...place, source: bytesOf(content) })
    expect(await read(registry, file.fileId)).toEqual(content)
    expect(await registry.verify({ packageId, actor })).toMatchObject([{ outcome: 'verified' }])
    expect(await registry.checkViews()).toMatchObject({ agree: true })
  })

  test('that are gone are object_missing, also to finalize, and are healed likewise', async () => {
    const { registry, packageId, file, path } = await openWithFile()
    rmSync(path)
    await expect(registry.finalizePackage(packageId, { actor })).rejects.toMatchObject({ code: 'object_missing' })
    await expect(registry.getFile(file.fileId)).rejects.toMatchObject({ code: 'object_missing' })
    await registry.ingestFile(packageId, { ...place, relativePath: 'b', source: bytesOf(content) })
    expect(await read(registry, file.fileId)).toEqual(content)
    await registry.finalizePackage(packageId, { actor, verify: 'full' })
  })

  test('of another size keep a package from being finalized, and of another content when all is read', async () => {
    const { registry, packageId, path } = await openWithFile()
    damage(path)
    await expect(registry.finalizePackage(packageId, { actor, verify: 'full' })).rejects.toMatchObject({
      code: 'object_corrupt',
    })
    truncateSync(path, 10)
    await expect(registry.finalizePackage(packageId, { actor })).rejects.toMatchObject({ code: 'object_corrupt' })
  })

  test('are found by scrubbing, which goes on where it stopped and writes down only what has changed', async () => {
    const { registry, path } = await openWithFile()
    const packageId = await make(registry)
    for (const name of ['b', 'c']) {
      await registry.ingestFile(packageId, { ...place, relativePath: name, source: bytesOf(name) })
    }
    const scrub = (objectsMax?: number) =>
      registry.scrub({ bytesPerSecond: 1e9, actor, ...(objectsMax === undefined ? {} : { objectsMax }) })
    expect(await scrub()).toMatchObject({ objects: 3, bytes: content.length + 2, changed: [] })
    const events = (await registry.auditLog()).length
    damage(path)
    const found = [await scrub(1), await scrub(1), await scrub(1)].flatMap(({ changed }) => changed)
    expect(found).toMatchObject([{ outcome: 'corrupt' }])
    expect((await registry.auditLog()).length).toBe(events + 1)
    expect(await scrub()).toMatchObject({ objects: 3, changed: [] })
  })
})

describe('bounds', () => {
  test('a package has only so many files, and a file only so many bytes', async () => {
    const { registry } = await open({ limits: { filesMax: 1, fileBytesMax: 10 } })
    const packageId = await make(registry)
    const put = (relativePath: string, text: string) =>
      registry.ingestFile(packageId, { ...place, relativePath, source: bytesOf(text) })
    await expect(put('long', 'more than ten bytes')).rejects.toMatchObject({ code: 'too_large' })
    await put('one', 'one')
    await expect(put('two', 'two')).rejects.toMatchObject({ code: 'too_many_files' })
    expect((await registry.stats()).objects).toBe(1)
  })

  test('only so many ingests read at once and wait, and a further one is told to come again', async () => {
    const { registry } = await open({ limits: { ingestsMax: 1, ingestsWaitingMax: 1 } })
    const packageId = await make(registry)
    const reading = new AbortController()
    const told = new AbortController()
    const slow = async function* (): AsyncIterable<Uint8Array> {
      reading.abort()
      await once(told.signal, 'abort')
      yield Buffer.from('slow')
    }
    const put = (relativePath: string, source: AsyncIterable<Uint8Array>) =>
      registry.ingestFile(packageId, { ...place, relativePath, source })
    const isReading = once(reading.signal, 'abort')
    const first = put('first', slow())
    await isReading
    const outcomes = Promise.allSettled([put('second', bytesOf('second')), put('third', bytesOf('third'))])
    // Both have asked for a turn when the log has answered once more.
    await registry.auditLog()
    await registry.auditLog()
    told.abort()
    await first
    const refused = (await outcomes).filter(({ status }) => status === 'rejected')
    expect(refused).toMatchObject([{ reason: { code: 'too_many_requests', retryable: true } }])
  })
})

describe('configuration', () => {
  test('metadata is held to the schema that it names', async () => {
    const schema = { type: 'object', properties: { build: { type: 'integer' } }, required: ['build'] }
    const { registry } = await open({ metadataSchemas: [{ id: 'ci.run', version: 2, schema }] })
    const draft = { name: 'p', producer: 'test', retentionClass: 'transient', actor, metadataSchema: 'ci.run@2' }
    await registry.createPackage({ ...draft, metadata: { build: 7 } })
    for (const metadata of [{}, { build: 'seven' }]) {
      await expect(registry.createPackage({ ...draft, metadata })).rejects.toMatchObject({ code: 'metadata_invalid' })
    }
    await expect(registry.createPackage({ ...draft, metadataSchema: 'ci.run@1' })).rejects.toMatchObject({
      code: 'metadata_invalid',
    })
  })

  test('durations of classes are those that it says, for packages from then on', async () => {
    const { registry } = await open({ retention: { transient: 60, 'raw-evidence': null } })
    const draft = { name: 'p', producer: 'test', actor }
    const expiries = await Promise.all(
      ['transient', 'raw-evidence', 'summary-evidence', 'release-evidence', 'permanent-record'].map(
        async (retentionClass) => {
          const { packageId, createdAt } = await registry.createPackage({ ...draft, retentionClass })
          const { expiresAt } = (await registry.getPackage(packageId)).retention
          return expiresAt === null ? null : Math.round((expiresAt - createdAt) / 1000)
        },
      ),
    )
    expect(expiries).toEqual([60, null, 31_536_000, 220_752_000, null])
    await expect(open({ retention: { unheard: 1 } })).rejects.toMatchObject({ code: 'retention_class_unknown' })
    await expect(open({ databaseUrl: 'mysql://localhost/x' })).rejects.toMatchObject({ code: 'invalid_request' })
  })

  test('health names what is wrong', async () => {
    const { registry, storageRoot } = await open()
    expect(await registry.health()).toMatchObject({ status: 'ok', database: { engine: 'sqlite', healthy: true } })
    rmSync(storageRoot, { recursive: true })
    expect(await registry.health()).toMatchObject({ status: 'degraded', backends: [{ healthy: false }] })
  })
})

for (const { name, freshUrl } of engines) {
  test(`two open stores on the same files ingest and collect, and no reference is without its bytes (${name})`, async () => {
    const databaseUrl = await freshUrl()
    const { registry: one, storageRoot } = await open({ databaseUrl })
    const { registry: two } = await open({ databaseUrl, storageRoot })
    expect(two.registryId).toBe(one.registryId)
    for (let round = 0; round < 6; round += 1) {
      const old = await make(one)
      await one.ingestFile(old, { ...place, source: bytesOf(`contended ${round}`) })
      await one.abortPackage(old, { actor })
      const fresh = await make(two)
      const [file] = await Promise.all([
        two.ingestFile(fresh, { ...place, source: bytesOf(`contended ${round}`) }),
        one.gc({ actor, graceMs: 0 }),
        two.gc({ actor, graceMs: 0 }),
      ])
      expect((await read(one, file.fileId)).toString()).toBe(`contended ${round}`)
    }
    expect(await one.checkViews()).toMatchObject({ agree: true })
    expect(await two.viewStateDigest()).toBe(await one.viewStateDigest())
  })
}

test('one process takes the uploads of a store, and lets them go when it closes it', async () => {
  const { registry: one, databaseUrl, storageRoot } = await open()
  const { registry: two } = await open({ databaseUrl, storageRoot })
  const { uploadId } = await one.createUpload(await make(one), place)
  await one.appendUpload(uploadId, { offset: 0, source: bytesOf('one') })
  const append = () => two.appendUpload(uploadId, { offset: 3, source: bytesOf('two') })
  await expect(append()).rejects.toMatchObject({ code: 'upload_busy' })
  await one.close()
  await append()
  const { fileId } = await two.completeUpload(uploadId, { actor })
  expect((await read(two, fileId)).toString()).toBe('onetwo')
})

test('the same history gives the same log, manifest and views on every engine, for ever', async () => {
  const results: unknown[] = []
  for (const { freshUrl } of engines) {
    const clock = { now: 1_767_225_600_000 }
    let count = 0
    const nextId = () => {
      count += 1
      return `01KDTG${String(count).padStart(20, '0')}`
    }
    const registry = (await open({ databaseUrl: await freshUrl(), runtime: { now: () => clock.now, nextId } })).registry
    const draft = {
      name: 'golden',
      producer: 'test',
      subject: 'straße',
      retentionClass: 'raw-evidence',
      actor: 'alice',
    }
    const { packageId } = await registry.createPackage({ ...draft, metadata: { z: 1, aa: [true, null, 'ü'] } })
    for (const [relativePath, text] of [
      ['ß.txt', 'eins'],
      ['b/c', 'zwei'],
    ] as const) {
      clock.now += 1000
      await registry.ingestFile(packageId, { ...place, relativePath, source: bytesOf(text) })
    }
    const holdId = await registry.applyHold(packageId, { actor, reason: 'golden' })
    const { manifestDigest } = await registry.finalizePackage(packageId, { actor })
    await registry.releaseHold(holdId, { actor, reason: 'done' })
    const { chain_digest } = await registry.replay()
    results.push({ manifestDigest, chain_digest, views: await registry.viewStateDigest() })
  }
  expect(results[1]).toEqual(results[0])
  expect(results[0]).toMatchInlineSnapshot(`
    {
      "chain_digest": "3a24155993ec15e4550e3114583e2554ec868338ecf8bb652857c165ba577579",
      "manifestDigest": "blake3:03da6d4a9b0a47db92d8458d0b0cfbb49b922bdfbff6cd2ae38925535f5a0124",
      "views": "blake3:b61e36d3d33d5171f8a1e0a7fd42d3dd9f8722a3187e7fa604c0a6f2af716bde",
    }
  `)
})
