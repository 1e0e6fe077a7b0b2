/** The contract of every store (06 §11, §13), over each engine with each backend. */
import { join } from 'node:path'
import { openRegistry, type RegistryConfig, registryCases } from '@claudemesh/artifacts'
import { createIdSource } from '@claudemesh/protocol'
import { describe, onTestFinished, test } from 'vitest'
import { scratchDirectory } from '../support/scratch-directory.ts'
import { engines } from './engines.ts'
import { hasS3Server, s3Config, useS3Server } from './s3-server.ts'

async function open(databaseUrl: string, o: Partial<RegistryConfig> = {}) {
  const clock = { now: Date.now() }
  const runtime = { now: () => clock.now, nextId: createIdSource(() => clock.now) }
  const storageRoot = join(scratchDirectory(), 'objects')
  const registry = await openRegistry({ databaseUrl, storageRoot, runtime, ...o })
  onTestFinished(() => registry.close())
  return { registry, clock }
}

const server = useS3Server()

const backends: readonly { readonly name: 'local' | 's3'; readonly config: () => Partial<RegistryConfig> }[] = [
  { name: 'local', config: () => ({}) },
  { name: 's3', config: () => ({ backend: 's3', s3: s3Config(server()) }) },
]

for (const { name: engine, freshUrl } of engines) {
  for (const { name: backend, config } of backends) {
    describe.skipIf(backend === 's3' && !hasS3Server)(`the contract of stores (${engine}, ${backend})`, () => {
      for (const { name, run } of registryCases) {
        test(name, async () => run(await open(await freshUrl(), config())))
      }
    })
  }
}
