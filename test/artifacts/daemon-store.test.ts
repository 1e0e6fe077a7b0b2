/** The store of artifacts in a daemon: when it is opened, and what a daemon is without it. */
import { existsSync, mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Health } from '@claudemesh/protocol'
import type { ArtifactsHealth } from '@claudemesh/protocol/artifacts'
import { expect, test } from 'vitest'
import { startDaemon } from '../support/daemon-in-process.ts'
import { eventually } from '../support/eventually.ts'
import { foundHome } from '../support/home.ts'
import { scratchDirectory } from '../support/scratch-directory.ts'

test('a daemon that nobody asks for artifacts has none', async () => {
  const { get, host } = await startDaemon(foundHome())
  expect(((await get('/v1/health')).json as Health).artifacts).toEqual({ status: 'idle' })
  expect(existsSync(host.paths.artifacts)).toBe(false)
})

test('the first who asks founds the store, and the next start opens it', async () => {
  const host = foundHome()
  const first = await startDaemon(host)
  const { status, json } = await first.get('/v1/artifacts/health')
  expect(status).toBe(200)
  expect(json).toMatchObject({ status: 'ok', database: { engine: 'sqlite', healthy: true } })
  expect((json as ArtifactsHealth).backends).toMatchObject([{ backend_id: 'local', healthy: true, read_only: false }])
  expect(((await first.get('/v1/health')).json as Health).artifacts).toEqual({ status: 'ok' })
  expect(statSync(host.paths.artifacts).mode & 0o777).toBe(0o700)
  expect(statSync(host.paths.artifactsDatabase).mode & 0o777).toBe(0o600)
  await first.close()

  const second = await startDaemon(host)
  const health = async () => ((await second.get('/v1/health')).json as Health).artifacts.status
  await eventually('the store is open', async () => (await health()) === 'ok')
  expect(((await second.get('/v1/artifacts/health')).json as ArtifactsHealth).registry).toBe(
    (json as ArtifactsHealth).registry,
  )
})

test('database and bytes are where the settings say', async () => {
  const directory = scratchDirectory()
  mkdirSync(join(directory, 'db'), { mode: 0o700 })
  const database = join(directory, 'db', 'registry.db')
  const objects = join(directory, 'objects')
  const { get, host } = await startDaemon(foundHome(), {
    env: {
      CLAUDEMESH_ARTIFACTS_DATABASE_URL: `sqlite:${database}`,
      CLAUDEMESH_ARTIFACTS_STORAGE_ROOT: objects,
    },
  })
  expect((await get('/v1/artifacts/health')).status).toBe(200)
  expect([existsSync(database), existsSync(objects), existsSync(host.paths.artifacts)]).toEqual([true, true, false])
})

test('a store that cannot be opened keeps no message from flowing, and is said by health', async () => {
  const host = foundHome()
  mkdirSync(host.paths.artifacts, { mode: 0o700, recursive: true })
  writeFileSync(host.paths.artifactsDatabase, 'no database at all '.repeat(1000), { mode: 0o600 })
  const { get, post } = await startDaemon(host)
  expect((await post('/v1/send', { to: '#a', message: 'hello' })).status).toBe(202)

  const down = await get('/v1/artifacts/health')
  expect(down.status).toBe(503)
  expect(down.json).toMatchObject({ status: 'down', registry: null, database: { healthy: false }, backends: [] })
  expect(down.text).not.toContain(host.home)
  const health = (await get('/v1/health')).json as Health
  expect(health).toMatchObject({ status: 'degraded', artifacts: { status: 'down' } })
  expect(health.conditions.find(({ code }) => code === 'artifacts_down')?.text).toContain(host.paths.artifactsDatabase)

  rmSync(host.paths.artifactsDatabase)
  await eventually('it is opened again', async () => (await get('/v1/artifacts/health')).status === 200)
  const mended = (await get('/v1/health')).json as Health
  expect(mended.artifacts).toEqual({ status: 'ok' })
  expect(mended.conditions.map(({ code }) => code)).not.toContain('artifacts_down')
})

test('bytes whose disk is gone are said to be, and come back with it', async () => {
  const objects = join(scratchDirectory(), 'objects')
  const { get } = await startDaemon(foundHome(), { flags: { 'artifacts.storage_root': objects } })
  expect((await get('/v1/artifacts/health')).status).toBe(200)
  rmSync(objects, { recursive: true })
  const degraded = await get('/v1/artifacts/health')
  expect([degraded.status, (degraded.json as ArtifactsHealth).status]).toEqual([200, 'degraded'])
  const { conditions } = (await get('/v1/health')).json as Health
  expect(conditions.map(({ code }) => code)).toContain('artifacts_degraded')
})
