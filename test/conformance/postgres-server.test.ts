/** What the engine for a team asks of its server, and what it does when brokers start, wait for each other, or may not write. */
import { readdirSync } from 'node:fs'
import { prepare } from '@claudemesh/storage/postgres'
import pg from 'pg'
import { describe, expect, onTestFinished, test } from 'vitest'
import { systemRuntime } from '../../apps/broker/src/runtime.ts'
import { openPool } from '../../apps/broker/src/store/postgres/open-pool.ts'
import { PostgresStore } from '../../apps/broker/src/store/postgres/postgres-store.ts'
import { startChild } from '../support/child.ts'
import { eventually } from '../support/eventually.ts'
import { ask, emptyDatabase } from '../support/postgres.ts'
import { RawMesh } from '../support/raw-mesh.ts'
import { openPostgres } from './engines.ts'
import { admit, makeItem, openWithMembers } from './scenario.ts'

const migrations = readdirSync(new URL('../../apps/broker/src/store/postgres/schema/', import.meta.url)).toSorted()

async function open(url: string): Promise<PostgresStore> {
  const store = await PostgresStore.open({ url, runtime: systemRuntime() })
  onTestFinished(() => store.close())
  return store
}

describe('the schema', () => {
  test('is made once, however many brokers start at once on an empty database', async () => {
    const url = await emptyDatabase()
    const stores = await Promise.all(Array.from({ length: 6 }, () => open(url)))
    for (const store of stores) await store.ping()
    const applied = await ask(url, 'SELECT version, name FROM mesh.schema_migration ORDER BY version')
    expect(applied).toEqual(migrations.map((name, index) => ({ version: index + 1, name: name.replace('.sql', '') })))
  })

  test('of a newer version is refused, and left as it is', async () => {
    const url = await emptyDatabase()
    await open(url)
    await ask(url, `INSERT INTO mesh.schema_migration VALUES (${migrations.length + 1}, 'later', 0)`)
    await expect(open(url)).rejects.toMatchObject({ code: 'schema_too_new' })
    expect(await ask(url, 'SELECT version FROM mesh.schema_migration')).toHaveLength(migrations.length + 1)
  })

  test('that a migration does not fit is left as it was before all of them', async () => {
    const url = await emptyDatabase()
    await ask(url, 'CREATE SCHEMA mesh; CREATE TABLE mesh.audit_log (note TEXT)')
    await expect(open(url)).rejects.toMatchObject({ code: 'start_failed', message: expect.stringMatching('audit_log') })
    const tables = await ask(url, `SELECT relname FROM pg_class WHERE relnamespace = 'mesh'::regnamespace`)
    expect(tables).toEqual([{ relname: 'audit_log' }])
  })

  test.each(['postgres.migration.recorded:2', 'postgres.migration.before_commit'])(
    'whose broker was killed at %s is as it was before all migrations, and made by the next start',
    async (point) => {
      const url = await emptyDatabase()
      const environment = { CLAUDEMESH_CRASH_AT: point }
      const killed = startChild('crash/children/store-operation.mjs', [url, 'ping', '[]'], { environment })
      expect(await killed.exited).toMatchObject({ signal: 'SIGKILL', stderr: '' })
      await eventually('the server has noticed', async () => {
        const others = 'SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()'
        return (await ask(url, others)).length === 0
      })
      expect(await ask(url, `SELECT 1 FROM pg_namespace WHERE nspname = 'mesh'`)).toEqual([])
      await (await open(url)).ping()
      expect(await ask(url, 'SELECT version FROM mesh.schema_migration')).toHaveLength(migrations.length)
    },
  )

  test('that is up to date needs no right to make tables', async () => {
    const url = await emptyDatabase()
    await open(url)
    const role = `mesh_broker_${Date.now()}`
    await ask(
      url,
      `CREATE ROLE ${role} LOGIN PASSWORD 'test'; GRANT USAGE ON SCHEMA mesh TO ${role};
       GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA mesh TO ${role}`,
    )
    onTestFinished(() => ask(url, `DROP OWNED BY ${role}; DROP ROLE ${role}`).then(() => undefined))
    const restricted = Object.assign(new URL(url), { username: role, password: 'test' }).href
    await expect(ask(restricted, 'CREATE TABLE mesh.other (id INTEGER)')).rejects.toThrow('permission denied')
    await (await open(restricted)).ping()
  })
})

describe('a server', () => {
  test('that is too old is refused with the version that is needed', async () => {
    const url = await emptyDatabase()
    await ask(
      url,
      `CREATE FUNCTION public.current_setting(name text) RETURNS text LANGUAGE sql AS
         $$ SELECT CASE name WHEN 'server_version_num' THEN '140012' ELSE pg_catalog.current_setting(name) END $$;
       DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = public, pg_catalog', current_database()); END $$`,
    )
    await expect(open(url)).rejects.toMatchObject({
      code: 'start_failed',
      message: expect.stringMatching('PostgreSQL 14.*15 or later'),
    })
    expect(await ask(url, `SELECT 1 FROM pg_namespace WHERE nspname = 'mesh'`)).toEqual([])
  })

  test.each([
    { what: 'has no such database', change: { pathname: '/no_such_database' }, says: /no database of that name/ },
    { what: 'knows no such user', change: { username: 'no_such_user' }, says: /user or the password/ },
    { what: 'is not there', change: { hostname: '127.0.0.1', port: '1' }, says: /cannot be reached/ },
  ])('that $what is reported as just that', async ({ change, says }) => {
    const url = new URL(await emptyDatabase())
    Object.assign(url, change)
    await expect(open(url.href)).rejects.toMatchObject({
      code: 'storage_unavailable',
      message: expect.stringMatching(says),
    })
  })

  test.each([
    { what: 'fails', body: `BEGIN RAISE 'not allowed'; END`, says: /connection/ },
    { what: 'is ignored', body: `BEGIN RETURN 'off'; END`, says: /synchronous_commit/ },
  ])('on which the setting of a connection $what is not used: nothing would be known to be durable', async (row) => {
    const url = await emptyDatabase()
    await (await open(url)).ping()
    await ask(
      url,
      `CREATE FUNCTION public.set_config(name text, value text, is_local boolean) RETURNS text LANGUAGE plpgsql AS $$ ${row.body} $$;
       DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = public, pg_catalog', current_database()); END $$`,
    )
    const store = await open(url)
    const refusal = { code: 'storage_unavailable', message: expect.stringMatching(row.says) }
    await expect(store.ping()).rejects.toMatchObject(refusal)
    const somebody = { meshId: 'mesh', memberId: 'member' }
    const profile = { summary: null, activity: null, visible: true }
    await expect(store.setProfile(somebody, profile)).rejects.toMatchObject(refusal)
    // It is found out for each connection: nobody has to start the broker again.
    await ask(url, 'DROP FUNCTION public.set_config')
    await store.ping()
  })

  test('whose default is to acknowledge what is in memory only is told otherwise on every connection', async () => {
    const url = await emptyDatabase()
    await ask(
      url,
      `DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off', current_database()); END $$`,
    )
    const pool = openPool(url)
    onTestFinished(() => pool.close())
    const shown = prepare('SHOW synchronous_commit')
    expect(await pool.read((session) => session.query(shown))).toEqual([{ synchronous_commit: 'on' }])
    expect(await pool.write((session) => session.query(shown))).toEqual([{ synchronous_commit: 'on' }])
  })

  test('that takes no writes is not ready, and says why', async () => {
    const url = await emptyDatabase()
    await (await open(url)).ping()
    await ask(
      url,
      `DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = on', current_database()); END $$`,
    )
    const store = await open(url)
    await expect(store.ping()).rejects.toMatchObject({ code: 'storage_unavailable' })
    const somebody = { meshId: 'mesh', memberId: 'member' }
    await expect(store.setProfile(somebody, { summary: null, activity: null, visible: true })).rejects.toMatchObject({
      code: 'storage_unavailable',
    })
  })
})

test('two transactions that wait for each other both go through: the one that is ended begins again', async () => {
  const { engine, alice, bob } = await openWithMembers(openPostgres)
  const other = await admit(engine, new RawMesh().founder)
  if (!('databaseUrl' in engine.database)) throw new Error('this engine has a database')
  // Meshes are locked in their order; this one goes the other way.
  const [first, second] = [alice.meshId, other.meshId].toSorted()
  const lock = 'SELECT 1 FROM mesh.mesh_counter WHERE mesh_id = $1 FOR UPDATE'
  const waiting = `SELECT 1 FROM pg_stat_activity
                    WHERE datname = current_database() AND pg_backend_pid() = ANY (pg_blocking_pids(pid))`
  const outside = new pg.Client({ connectionString: engine.database.databaseUrl })
  await outside.connect()
  onTestFinished(() => outside.end())
  let attempts = 0
  // The database ends either of the two. It is about the one of the broker.
  await eventually('the broker was the one to be ended', async () => {
    attempts += 1
    await outside.query('BEGIN')
    await outside.query(lock, [second])
    const accepting = engine.store.acceptBatch([
      makeItem(engine, alice, { kind: 'dm', ref: bob.memberId }),
      makeItem(engine, other, { kind: 'dm', ref: other.memberId }),
    ])
    await eventually('the broker waits', async () => ((await outside.query(waiting)).rowCount ?? 0) > 0)
    const wasEnded = await outside.query(lock, [first]).then(
      () => false,
      () => true,
    )
    await outside.query('ROLLBACK')
    expect((await accepting).map(({ kind }) => kind)).toEqual(['stored', 'stored'])
    return !wasEnded
  })
  expect(await engine.count('topic_message')).toBe(2 * attempts)
})
