/** A store with a directory and a bucket. */
import { chmodSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { openRegistry, type Registry, type RegistryConfig } from '@claudemesh/artifacts'
import { describe, expect, onTestFinished, test } from 'vitest'
import { scratchDirectory } from '../support/scratch-directory.ts'
import { engines } from './engines.ts'
import { hasS3Server, noServer, s3Config, useS3Server } from './s3-server.ts'

const actor = 'local'
const server = useS3Server()

async function* bytesOf(text: string): AsyncIterable<Uint8Array> {
  yield Buffer.from(text)
}

async function read(registry: Registry, fileId: string): Promise<string> {
  const chunks: Uint8Array[] = []
  for await (const chunk of (await registry.getFile(fileId)).body) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}

async function make(registry: Registry): Promise<string> {
  return (await registry.createPackage({ name: 'p', producer: 'test', retentionClass: 'transient', actor })).packageId
}

function pathOf(root: string, address: string): string {
  const [algorithm = '', hex = ''] = address.split(':')
  return join(root, algorithm, hex.slice(0, 2), hex.slice(2, 4), hex)
}

function add(registry: Registry, packageId: string, text: string) {
  return registry.ingestFile(packageId, { relativePath: text, mediaType: 'text/plain', source: bytesOf(text), actor })
}

async function open(config: Omit<RegistryConfig, 'databaseUrl'> & { readonly databaseUrl: string }): Promise<Registry> {
  const registry = await openRegistry(config)
  onTestFinished(() => registry.close())
  return registry
}

for (const { name, freshUrl } of engines) {
  describe.skipIf(!hasS3Server)(`a store with a directory and a bucket (${name})`, () => {
    test('what was kept in the directory is read from there, and new bytes go to the bucket', async () => {
      const storage = { databaseUrl: await freshUrl(), storageRoot: join(scratchDirectory(), 'objects') }
      const s3 = s3Config(server())
      const before = await openRegistry(storage)
      const packageId = await make(before)
      const old = await add(before, packageId, 'old')
      await before.close()

      const registry = await open({ ...storage, backend: 's3', s3 })
      const { fileId } = await add(registry, packageId, 'new')
      expect([await read(registry, old.fileId), await read(registry, fileId)]).toEqual(['old', 'new'])
      const again = await registry.addExisting(packageId, {
        contentAddress: (await registry.findFile(old.fileId)).contentAddress,
        relativePath: 'again',
        mediaType: 'text/plain',
        actor,
      })
      expect(await read(registry, again.fileId)).toBe('old')
      const outcomes = (await registry.verify({ packageId, actor })).map(({ outcome }) => outcome)
      expect(outcomes).toEqual(['verified', 'verified', 'verified'])
      expect(await registry.stats()).toMatchObject({ objects: 2, unreferencedBytes: 0 })
      expect((await registry.health()).backends.map(({ backendId }) => backendId)).toEqual(['s3', 'local'])
      await registry.finalizePackage(packageId, { actor })
      await registry.close()

      // New bytes go to the directory again, and the bucket is read from.
      const back = await open({ ...storage, s3 })
      expect(await read(back, fileId)).toBe('new')
    })

    test('what is missing or damaged in one is put back from the other, if that has it whole', async () => {
      const storage = { databaseUrl: await freshUrl(), storageRoot: join(scratchDirectory(), 'objects') }
      const s3 = s3Config(server())
      const withBucket = await openRegistry({ ...storage, backend: 's3', s3 })
      const inBucket = await add(withBucket, await make(withBucket), 'in both')
      await withBucket.close()
      const registry = await open({ ...storage, s3 })
      const packageId = await make(registry)
      const inDirectory = await add(registry, packageId, 'in both')
      expect(inDirectory.contentAddress).toBe(inBucket.contentAddress)
      const path = pathOf(storage.storageRoot, inDirectory.contentAddress)

      chmodSync(path, 0o600)
      writeFileSync(path, 'IN BOTH')
      expect(await registry.verify({ packageId, actor })).toMatchObject([{ outcome: 'corrupt', healed: true }])
      expect(readFileSync(path, 'utf8')).toBe('in both')
      expect(await registry.verify({ packageId, actor })).toMatchObject([{ outcome: 'verified', healed: false }])

      rmSync(path)
      expect(await read(registry, inDirectory.fileId), 'when it is read').toBe('in both')
      rmSync(path)
      const { changed } = await registry.scrub({ bytesPerSecond: 2 ** 30, actor })
      expect(changed).toMatchObject([{ outcome: 'missing', healed: true }])
      expect(readFileSync(path, 'utf8')).toBe('in both')

      const alone = await add(registry, packageId, 'in the directory')
      rmSync(pathOf(storage.storageRoot, alone.contentAddress))
      await expect(registry.getFile(alone.fileId)).rejects.toMatchObject({ code: 'object_missing' })
      expect(await registry.checkViews()).toMatchObject({ agree: true })
    })
  })
}

describe('a bucket that is not what the settings say', () => {
  const storageOf = async () => ({
    databaseUrl: (await engines[0]?.freshUrl()) ?? '',
    storageRoot: join(scratchDirectory(), 'objects'),
  })

  test('a bucket that nobody set up takes no new bytes', async () => {
    await expect(openRegistry({ ...(await storageOf()), backend: 's3' })).rejects.toMatchObject({
      code: 'backend_unknown',
    })
  })

  test('a key that is not where it should be is named by its place, and the store is not opened', async () => {
    const storage = await storageOf()
    const s3 = { ...s3Config(noServer), secretKeyRef: 'env:CLAUDEMESH_TEST_NOWHERE' }
    await expect(openRegistry({ ...storage, backend: 's3', s3 })).rejects.toThrow('env:CLAUDEMESH_TEST_NOWHERE')
    const registry = await open(storage)
    expect((await registry.health()).status, 'nothing is held by the one that failed').toBe('ok')
  })

  test('a server that does not answer keeps no store from opening, and what is in the directory is read', async () => {
    const storage = await storageOf()
    const before = await openRegistry(storage)
    const { fileId } = await add(before, await make(before), 'old')
    await before.close()
    const registry = await open({ ...storage, backend: 's3', s3: s3Config(noServer) })
    expect(await read(registry, fileId)).toBe('old')
    expect(await registry.health()).toMatchObject({ status: 'degraded' })
    await expect(add(registry, await make(registry), 'new')).rejects.toMatchObject({ code: 'backend_unavailable' })
  })
})
