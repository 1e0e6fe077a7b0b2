/** The contract of every store (06 §11, §13), over each engine with the local backend, and what is its own of each. */
import { join } from 'node:path'
import { openRegistry, type RegistryConfig, registryCases } from '@claudemesh/artifacts'
import { createIdSource } from '@claudemesh/protocol'
import { describe, onTestFinished, test } from 'vitest'
import { scratchDirectory } from '../support/scratch-directory.ts'
import { engines } from './engines.ts'

async function open(databaseUrl: string, o: Partial<RegistryConfig> = {}) {
  const clock = { now: Date.now() }
  const runtime = { now: () => clock.now, nextId: createIdSource(() => clock.now) }
  const storageRoot = join(scratchDirectory(), 'objects')
  const registry = await openRegistry({ databaseUrl, storageRoot, runtime, ...o })
  onTestFinished(() => registry.close())
  return { registry, clock }
}

for (const { name: engine, freshUrl } of engines) {
  describe(`the contract of stores (${engine}, local)`, () => {
    for (const { name, run } of registryCases) {
      test(name, async () => run(await open(await freshUrl())))
    }
  })
}
