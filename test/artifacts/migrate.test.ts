/** Making the tables of a store, and beginning anew, on both engines. */
import { readdirSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { migrateStore, openRegistry, type Registry } from '@claudemesh/artifacts'
import { describe, expect, onTestFinished, test } from 'vitest'
import { scratchDirectory } from '../support/scratch-directory.ts'
import { engines } from './engines.ts'

async function opened(databaseUrl: string): Promise<Registry> {
  const registry = await openRegistry({ databaseUrl, storageRoot: join(scratchDirectory(), 'objects') })
  onTestFinished(() => registry.close())
  return registry
}

function createOne(registry: Registry) {
  return registry.createPackage({ name: 'one', producer: 'test', retentionClass: 'transient', actor: 'local' })
}

for (const { name, freshUrl } of engines) {
  describe(`migrating on ${name}`, () => {
    test('makes a store where there is none, and finds nothing to do where there is one', async () => {
      const databaseUrl = await freshUrl()
      const made = await migrateStore({ databaseUrl })
      expect(made).toMatchObject({ engine: name === 'SQLite' ? 'sqlite' : 'postgres', previousVersion: 0 })
      expect(made.version).toBeGreaterThan(1)
      expect(await migrateStore({ databaseUrl })).toEqual({ ...made, previousVersion: made.version })
      const { packageId } = await createOne(await opened(databaseUrl))
      await migrateStore({ databaseUrl })
      expect((await (await opened(databaseUrl)).getPackage(packageId)).name).toBe('one')
    })

    test('at once is done by one of several, and all of them succeed', async () => {
      const databaseUrl = await freshUrl()
      const versions = await Promise.all([1, 2, 3].map(() => migrateStore({ databaseUrl })))
      expect(new Set(versions.map(({ version }) => version)).size).toBe(1)
    })

    test('anew is refused while somebody has the store open, and changes nothing', async () => {
      const databaseUrl = await freshUrl()
      const registry = await opened(databaseUrl)
      const { packageId } = await createOne(registry)
      await expect(migrateStore({ databaseUrl, fresh: true })).rejects.toMatchObject({ code: 'busy' })
      expect((await registry.getPackage(packageId)).name).toBe('one')
    })

    test('anew leaves an empty store with an id of its own', async () => {
      const databaseUrl = await freshUrl()
      const registry = await openRegistry({ databaseUrl, storageRoot: join(scratchDirectory(), 'objects') })
      const { registryId: former } = registry
      await createOne(registry)
      await registry.close()
      await migrateStore({ databaseUrl, fresh: true })
      const anew = await opened(databaseUrl)
      expect((await anew.listPackages()).items).toEqual([])
      expect(anew.registryId).not.toBe(former)
    })
  })
}

test('begun anew, a file is set aside with everything that was in it', async () => {
  const databaseUrl = await (engines[0]?.freshUrl() ?? '')
  const registry = await openRegistry({ databaseUrl, storageRoot: join(scratchDirectory(), 'objects') })
  const { packageId } = await createOne(registry)
  await registry.close()
  const { setAside } = await migrateStore({ databaseUrl, fresh: true, now: () => Date.UTC(2026, 10, 21, 8) })
  expect(basename(setAside ?? '')).toBe('registry.db.former-20261121T080000000Z')
  expect((await (await opened(`sqlite:${setAside}`)).getPackage(packageId)).name).toBe('one')
  const again = await migrateStore({ databaseUrl, fresh: true, now: () => Date.UTC(2026, 10, 21, 8) })
  expect(again.setAside).not.toBe(setAside)
  const names = readdirSync(dirname(setAside ?? '')).filter(
    (file) => file.includes('former') && !/-(wal|shm)$/.test(file),
  )
  expect(names.length).toBe(2)
})

test('a URL that is of neither engine is refused', async () => {
  await expect(migrateStore({ databaseUrl: 'sqlite:registry.db' })).rejects.toMatchObject({ code: 'invalid_request' })
})
