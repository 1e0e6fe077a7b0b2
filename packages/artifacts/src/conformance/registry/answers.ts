/** Asking again, listing and following. */
import assert from 'node:assert/strict'
import type { Registry } from '../../registry/registry.ts'
import { actor, add, bytesOf, code, dayMs, draft, hello, make, type RegistryCase } from './scenario.ts'

export const answersCases: readonly RegistryCase[] = [
  {
    name: 'who asks again with the same key gets the first answer, and with another request is refused',
    async run({ registry, clock }) {
      const created = await registry.createPackage({ ...draft, idempotencyKey: 'create-1' })
      const again = await registry.createPackage({ ...draft, idempotencyKey: 'create-1' })
      assert.equal(again.packageId, created.packageId)
      await assert.rejects(
        registry.createPackage({ ...draft, name: 'another', idempotencyKey: 'create-1' }),
        code('idempotency_key_reused'),
      )
      const place = { relativePath: 'a', mediaType: 'text/plain', actor, idempotencyKey: 'put-1' }
      const put = (bytes: Uint8Array) => registry.ingestFile(created.packageId, { ...place, source: bytesOf(bytes) })
      const first = await put(hello)
      assert.deepEqual(await put(hello), first)
      await assert.rejects(put(Buffer.from('other')), code('idempotency_key_reused'))
      // Also after the package takes no changes any more: the answer is that of then.
      assert.equal((await registry.getPackage(created.packageId)).fileCount, 1)
      clock.now += 8 * dayMs
      const later = await registry.createPackage({ ...draft, idempotencyKey: 'create-1' })
      assert.notEqual(later.packageId, created.packageId)
    },
  },
  {
    name: 'whatever is done once is done once, and asked again with its key it is answered as it was',
    async run({ registry, clock }) {
      const packageId = await make(registry)
      const { fileId } = await add(registry, packageId, 'a')
      const because = { actor, reason: 'twice' }
      const expiresAt = clock.now + 900 * dayMs
      type Done = (o: { idempotencyKey?: string }) => Promise<unknown>
      /** What is done, and what it is without a key when it was done before. */
      const once: Readonly<Record<string, readonly [Done, string]>> = {
        hold: [(o) => registry.applyHold(packageId, { ...because, ...o }), 'hold_active'],
        extend: [(o) => registry.extendRetention(packageId, { ...because, ...o, expiresAt }), 'retention_not_later'],
        remove: [(o) => registry.removeFile(fileId, { ...because, ...o }), 'file_not_found'],
        abort: [(o) => registry.abortPackage(packageId, { ...because, ...o }), 'package_not_open'],
      }
      for (const [idempotencyKey, [run, refused]] of Object.entries(once)) {
        const first = await run({ idempotencyKey })
        const written = (await registry.auditLog()).length
        assert.deepEqual(await run({ idempotencyKey }), first, idempotencyKey)
        assert.equal((await registry.auditLog()).length, written, idempotencyKey)
        await assert.rejects(run({}), code(refused), idempotencyKey)
      }
      const other = { ...because, reason: 'another', idempotencyKey: 'hold' }
      await assert.rejects(registry.applyHold(packageId, other), code('idempotency_key_reused'))

      const holdId = (await registry.getPackage(packageId)).retention.holdId ?? ''
      const release = () => registry.releaseHold(holdId, { ...because, idempotencyKey: 'release' })
      await Promise.all([release(), release()])
      await release()
      await assert.rejects(registry.releaseHold(holdId, because), code('hold_unknown'))
      assert.equal((await registry.auditLog()).filter(({ event_type }) => /hold_released/.test(event_type)).length, 1)
    },
  },
  {
    name: 'the same request twice at the same time has one effect and one answer',
    async run({ registry }) {
      const answers = await Promise.all(
        Array.from({ length: 8 }, () => registry.createPackage({ ...draft, idempotencyKey: 'once' })),
      )
      assert.equal(new Set(answers.map(({ packageId }) => packageId)).size, 1)
      assert.equal((await registry.listPackages()).items.length, 1)
    },
  },
  {
    name: 'listings come in pages that fit together, filtered by what is asked for',
    async run({ registry }) {
      const ids: string[] = []
      for (let index = 0; index < 7; index += 1) {
        const metadata = { parity: index % 2 === 0 ? 'even' : 'odd', index }
        ids.push(await make(registry, { producer: `p${index % 3}`, metadata }))
      }
      const seen: string[] = []
      for (let after: string | null = ''; after !== null; ) {
        const page: Awaited<ReturnType<Registry['listPackages']>> = await registry.listPackages({ after, limit: 3 })
        seen.push(...page.items.map(({ packageId }) => packageId))
        after = page.next
      }
      assert.deepEqual(seen, ids)
      const listed = async (filter: object) =>
        (await registry.listPackages(filter)).items.map(({ packageId }) => ids.indexOf(packageId))
      assert.deepEqual(await listed({ producer: 'p1' }), [1, 4])
      assert.deepEqual(await listed({ metadata: { parity: 'odd' } }), [1, 3, 5])
      assert.deepEqual(await listed({ metadata: { parity: 'odd', index: '3' } }), [3])
      assert.deepEqual(await listed({ metadata: { __proto__: 'x', absent: 'y' } }), [])
      assert.deepEqual(await listed({ status: 'finalized' }), [])
      await assert.rejects(registry.listPackages({ after: 'not an id' }), code('invalid_cursor'))
      for (const limit of [0, 1001, 1.5]) {
        await assert.rejects(registry.listPackages({ limit }), code('invalid_request'))
      }
    },
  },
  {
    name: 'the log says who did what, and can be followed',
    async run({ registry }) {
      const packageId = await make(registry, { actor: 'alice' })
      await add(registry, packageId, 'a')
      const seen: string[] = []
      for await (const { event_type } of registry.tailEvents(0)) {
        seen.push(event_type)
        if (seen.length === 3) break
      }
      assert.deepEqual(seen, ['v1.package.created', 'v1.retention.default_applied', 'v1.file.ingested'])
      const byAlice = await registry.auditLog({ actor: 'alice' })
      assert.deepEqual(
        byAlice.map(({ sequence }) => sequence),
        [1, 2],
      )
      const ofPackage = await registry.auditLog({ subject: { kind: 'package', id: packageId }, since: 1 })
      assert.deepEqual(
        ofPackage.map(({ sequence }) => sequence),
        [2],
      )
      await assert.rejects(async () => registry.auditLog({ since: -1 }), code('invalid_cursor'))
    },
  },
]
