/** Keeping, letting go, and collecting what is left. */
import assert from 'node:assert/strict'
import { actor, add, assertViewsAgree, bytesOf, code, dayMs, hello, make, type RegistryCase, read } from './scenario.ts'

export const retentionCases: readonly RegistryCase[] = [
  {
    name: 'a package expires by its class, is only ever kept longer, and is not touched while it is held',
    async run({ registry, clock }) {
      const packageId = await make(registry)
      const { expiresAt } = (await registry.getPackage(packageId)).retention
      assert.equal(expiresAt, clock.now + 7 * dayMs)
      const forever = await make(registry, { retentionClass: 'permanent-record' })
      assert.equal((await registry.getPackage(forever)).retention.expiresAt, null)
      const later = (expiresAt ?? 0) + dayMs
      await assert.rejects(
        registry.extendRetention(packageId, { expiresAt: expiresAt ?? 0, reason: 'same', actor }),
        code('retention_not_later'),
      )
      await assert.rejects(
        registry.extendRetention(packageId, { expiresAt: later, reason: '', actor }),
        code('reason_required'),
      )
      await registry.extendRetention(packageId, { expiresAt: later, reason: 'needed', actor })
      const holdId = await registry.applyHold(packageId, { reason: 'a dispute', actor })
      await assert.rejects(registry.applyHold(packageId, { reason: 'another', actor }), code('hold_active'))
      clock.now = later + 1
      assert.deepEqual(await registry.sweepRetention(clock.now, { actor }), [])
      await registry.releaseHold(holdId, { reason: 'settled', actor })
      assert.deepEqual(await registry.sweepRetention(clock.now, { actor }), [packageId])
      assert.deepEqual(await registry.sweepRetention(clock.now, { actor }), [])
      assert.equal((await registry.getPackage(packageId)).retention.eligibleForDeletion, true)
      await registry.extendRetention(packageId, { expiresAt: later + dayMs, reason: 'after all', actor })
      assert.equal((await registry.getPackage(packageId)).retention.eligibleForDeletion, false)
      await assertViewsAgree(registry)
    },
  },
  {
    name: 'garbage collection takes what may go, keeps what somebody else refers to, and says what it took',
    async run({ registry, clock }) {
      const [going, staying] = [await make(registry), await make(registry, { retentionClass: 'permanent-record' })]
      const shared = await add(registry, going, 'shared')
      const alone = await add(registry, going, 'alone', Buffer.from('alone'))
      await add(registry, staying, 'shared')
      await registry.finalizePackage(going, { actor })
      const manifest = await registry.getManifestBytes(going, 'cbor')
      assert.deepEqual(await registry.gc({ actor }), { packages: [], objects: [] })
      clock.now += 8 * dayMs
      await registry.sweepRetention(clock.now, { actor })
      const [{ backendId } = { backendId: '' }] = (await registry.health()).backends
      const expected = {
        packages: [going],
        objects: [{ backendId, contentAddress: alone.contentAddress, sizeBytes: 5 }],
      }
      const events = (await registry.auditLog()).length
      assert.deepEqual(await registry.gc({ actor, dryRun: true }), expected)
      assert.equal((await registry.auditLog()).length, events, 'a dry run changes nothing')
      assert.deepEqual(await registry.gc({ actor }), expected)
      assert.deepEqual(await registry.gc({ actor }), { packages: [], objects: [] })
      assert.equal((await registry.getPackage(going)).status, 'garbage_collected')
      assert.deepEqual(await registry.getManifestBytes(going, 'cbor'), manifest)
      await assert.rejects(registry.getFile(alone.fileId), code('file_not_found'))
      await assert.rejects(registry.getFile(shared.fileId), code('file_not_found'))
      const kept = await registry.resolve({ packageId: staying, path: 'shared' })
      assert.deepEqual(await read((await registry.getFile(kept.fileId)).body), hello)
      await assertViewsAgree(registry)
    },
  },
  {
    name: 'bytes of an aborted package go, and those that no package ever referred to go after the grace',
    async run({ registry, clock }) {
      const packageId = await make(registry)
      await add(registry, packageId, 'a')
      const place = { relativePath: 'b', mediaType: 'text/plain', actor, source: bytesOf(Buffer.from('stray')) }
      await assert.rejects(registry.ingestFile(packageId, { ...place, expectedSha256: '0'.repeat(64) }))
      await registry.abortPackage(packageId, { actor })
      const collected = await registry.gc({ actor, graceMs: dayMs })
      assert.deepEqual([collected.packages, collected.objects.length], [[packageId], 1])
      assert.equal((await registry.stats()).unreferencedBytes, 5)
      clock.now = Math.max(clock.now, Date.now()) + 2 * dayMs
      assert.equal((await registry.gc({ actor, graceMs: dayMs })).objects.length, 1)
      assert.equal((await registry.stats()).objects, 0)
    },
  },
  {
    name: 'bytes that are collected while equal ones come in are there for whoever was told that they are',
    async run({ registry }) {
      for (let round = 0; round < 8; round += 1) {
        const old = await make(registry)
        const content = Buffer.from(`contended ${round}`)
        await add(registry, old, 'a', content)
        await registry.abortPackage(old, { actor })
        const fresh = await make(registry)
        const [file] = await Promise.all([
          add(registry, fresh, 'a', content),
          registry.gc({ actor, graceMs: 0 }),
          registry.gc({ actor, graceMs: 0 }),
        ])
        assert.deepEqual(await read((await registry.getFile(file.fileId)).body), content)
        await registry.gc({ actor, graceMs: 0 })
        assert.deepEqual(await read((await registry.getFile(file.fileId)).body), content)
      }
      await assertViewsAgree(registry)
    },
  },
]
