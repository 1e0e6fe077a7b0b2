/** Several changes with one commit: those that can be made are, each as if it were alone. */
import assert from 'node:assert/strict'
import type { ContentAddress } from '../../identity/content-address.ts'
import { actor, add, assertViewsAgree, bytesOf, code, hello, make, type RegistryCase } from './scenario.ts'

const file = (relativePath: string, bytes: Uint8Array = Buffer.from(relativePath)) => ({
  relativePath,
  mediaType: 'text/plain',
  actor,
  source: bytesOf(bytes),
})

export const batchCases: readonly RegistryCase[] = [
  {
    name: 'a batch does what can be done of it, at once, and says of the rest why not',
    async run({ registry }) {
      const packageId = await make(registry)
      const old = await add(registry, packageId, 'old')
      const { lastSequence } = await registry.head()
      const [added, existing, removed, taken, refused, broken] = await registry.batch((changes) => [
        changes.ingestFile(packageId, file('added')),
        changes.addExisting(packageId, {
          relativePath: 'existing',
          mediaType: 'text/plain',
          actor,
          contentAddress: old.contentAddress as ContentAddress,
        }),
        changes.removeFile(old.fileId, { actor }),
        // Both pass when they are looked at alone: the second one is undone in the transaction.
        changes.ingestFile(packageId, file('added', hello)),
        changes.ingestFile(packageId, file('../out')),
        changes.ingestFile(packageId, { ...file('broken'), source: failing() }),
      ])
      for (const { status } of [added, existing, removed]) assert.equal(status, 'fulfilled')
      for (const [outcome, expected] of [
        [taken, 'duplicate_path'],
        [refused, 'invalid_path'],
      ] as const) {
        assert.ok(outcome.status === 'rejected' && code(expected)(outcome.reason))
      }
      assert.match(String(broken.status === 'rejected' && broken.reason), /the source failed/)
      const { items } = await registry.listFiles(packageId)
      assert.deepEqual(
        items.map(({ relativePath }) => relativePath),
        ['added', 'existing'],
      )
      assert.equal((await registry.head()).lastSequence, lastSequence + 3)
      await assertViewsAgree(registry)
    },
  },
  {
    name: 'a batch may be empty, may be all refused, and has a bound',
    async run({ registry }) {
      assert.deepEqual(await registry.batch(() => []), [])
      const packageId = await make(registry)
      const outcomes = await registry.batch(({ removeFile }) => ['a', 'b'].map((id) => removeFile(id, { actor })))
      for (const outcome of outcomes) assert.ok(outcome.status === 'rejected' && code('file_not_found')(outcome.reason))
      const many = await registry.batch(({ ingestFile }) =>
        Array.from({ length: 65 }, (_, index) => ingestFile(packageId, file(`${index}`))),
      )
      const last = many.at(-1)
      assert.ok(last?.status === 'rejected' && code('too_many_requests')(last.reason))
      assert.equal((await registry.getPackage(packageId)).fileCount, 64)
    },
  },
]

async function* failing(): AsyncGenerator<Uint8Array> {
  yield hello
  throw new Error('the source failed')
}
