/** Stores of artifacts of every schema on PostgreSQL, opened by this version; made by the migrations of their time. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openRegistry } from '../../packages/artifacts/src/index.ts'
import { ask, emptyDatabase } from '../support/postgres.ts'
import { scratchDirectory } from '../support/scratch-directory.ts'

const schema = new URL('../../packages/artifacts/src/db/migrations/postgres/', import.meta.url)
const files = readdirSync(schema).toSorted()
const digest = `decode(repeat('00', 32), 'hex')`

const rows = `
  SET search_path TO artifacts;
  INSERT INTO registry_meta VALUES (1, '01JD0000000000000000000000', 5);
  INSERT INTO events VALUES (1, 6, 'v1.package.created', 'package', 'p', 'local', '\\xa0', ${digest}, ${digest}, NULL, NULL);
  UPDATE event_log_head SET last_sequence = 1, last_created_at = 6;
  INSERT INTO artifact_packages VALUES
    ('p', 'n', 'ci', NULL, 'finalized', 'transient', 'a/b', 'portable', '{}', NULL, '{}', '{}', 'm', 'c', 1, 3, 6, 7, 1);
  INSERT INTO artifact_files VALUES ('f', 'p', 'x', 'x', 'a/b', 3, 'blake3', 'd', 's', 'blake3:d', '{}', 'live', NULL, 6, 1);
  INSERT INTO retention_state VALUES ('p', 'transient', 9, 9, 'h', 'legal', false, NULL, 1);
  INSERT INTO blob_state VALUES ('local', 'blake3:d', 6, 6, NULL, NULL)`

for (let version = 1; version < files.length; version += 1) {
  test(`a store of schema ${version} keeps its rows`, async () => {
    const url = await emptyDatabase()
    await ask(
      url,
      `CREATE SCHEMA artifacts;
       CREATE TABLE artifacts.schema_migration (version INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at BIGINT NOT NULL)`,
    )
    for (const [index, file] of files.slice(0, version).entries()) {
      await ask(url, `SET search_path TO artifacts; ${readFileSync(new URL(file, schema), 'utf8')}`)
      await ask(url, 'INSERT INTO artifacts.schema_migration VALUES ($1, $2, 0)', [index + 1, file.replace('.sql', '')])
      if (index === 0) await ask(url, rows)
    }
    const registry = await openRegistry({ databaseUrl: url, storageRoot: join(scratchDirectory(), 'objects') })
    try {
      expect(registry.registryId).toBe('01JD0000000000000000000000')
      const { items } = await registry.listPackages()
      expect(items).toMatchObject([{ packageId: 'p', status: 'finalized', totalSizeBytes: 3, finalizedAt: 7 }])
      expect((await registry.listFiles('p')).items).toMatchObject([{ fileId: 'f', contentAddress: 'blake3:d' }])
      expect((await registry.getPackage('p')).retention).toMatchObject({ holdId: 'h', expiresAt: 9 })
    } finally {
      await registry.close()
    }
    expect(await ask(url, 'SELECT count(*)::int AS n FROM artifacts.schema_migration')).toEqual([{ n: files.length }])
  })
}
