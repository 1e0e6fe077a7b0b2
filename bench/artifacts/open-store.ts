import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { openRegistry } from '@claudemesh/artifacts'

/** A store on SQLite below a directory, with an open package. */
export async function openStore(directory: string) {
  mkdirSync(join(directory, 'db'), { recursive: true, mode: 0o700 })
  const registry = await openRegistry({
    databaseUrl: `sqlite:${join(directory, 'db', 'registry.db')}`,
    storageRoot: join(directory, 'objects'),
    limits: { filesMax: 1_000_000 },
  })
  const draft = { name: 'bench', producer: 'bench', retentionClass: 'transient', actor: 'local' }
  const { packageId } = await registry.createPackage(draft)
  return { registry, packageId }
}
