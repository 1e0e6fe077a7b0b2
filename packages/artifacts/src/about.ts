import { readFileSync } from 'node:fs'
import { listMigrations } from '@claudemesh/storage'
import { sqliteMigrations } from './db/sqlite/sqlite-database.ts'
import { listAlgorithms } from './identity/algorithms.ts'
import { blake3Provider } from './identity/blake3.ts'
import { manifestVersion } from './manifest/manifest-schema.ts'

/** What this version of the store reads and writes. */
export function aboutStore() {
  return {
    version: readVersion(),
    manifest_version: manifestVersion,
    /** The number of the newest migration, the same on both engines. */
    schema: listMigrations(sqliteMigrations).length,
    algorithms: listAlgorithms(),
    hash_provider: blake3Provider.name,
  }
}

/** From package.json: the same file for the sources and for the build. */
function readVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))
  const version = manifest !== null && typeof manifest === 'object' && 'version' in manifest ? manifest.version : null
  if (typeof version !== 'string') throw new Error('package.json of the artifacts has no version')
  return version
}
