/** What a daemon does for its store by itself, under clocks that go as a test wants. */
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { createIdSource, daemonPaths } from '@claudemesh/protocol'
import { expect, onTestFinished, test } from 'vitest'
import { ArtifactRoom } from '../../apps/daemon/src/artifacts/artifact-room.ts'
import { ArtifactStore } from '../../apps/daemon/src/artifacts/artifact-store.ts'
import { ArtifactUpkeep } from '../../apps/daemon/src/artifacts/artifact-upkeep.ts'
import { loadConfig } from '../../apps/daemon/src/config/config.ts'
import type { Registry } from '../../packages/artifacts/src/index.ts'
import { RetentionClock } from '../../packages/storage/src/index.ts'
import { ensurePrivateDirectory } from '../../packages/storage/src/private-path.ts'
import { memoryDirectory } from '../support/scratch-directory.ts'
import { silentLog } from '../support/silent-log.ts'

const hour = 3_600_000
const day = 24 * hour

function keptStore(flags: Readonly<Record<string, string>> = {}) {
  const home = memoryDirectory()
  const paths = daemonPaths(home, 'home')
  ensurePrivateDirectory(paths.directory)
  const { artifacts: config } = loadConfig({ home, mesh: 'home', flags, env: {} }).config
  // Today: what the file system says of the age of an object goes by its own clock.
  const clock = { wall: Date.now(), monotonic: 1_000_000 }
  const now = () => clock.wall
  const runtime = { now, monotonicMs: () => clock.monotonic, random: Math.random, nextId: createIdSource(now) }
  const log = silentLog()
  const store = new ArtifactStore({ paths, config, runtime, log })
  const measured = { usedBytes: 0, budgetBytes: null, availableBytes: 1e12, pressure: 'ok' as const }
  const room = new ArtifactRoom({ directories: [paths.artifacts], isElsewhere: false, disk: () => measured })
  const scrubRate = () => config.scrubBytesPerSecond
  const retentionClock = new RetentionClock({ ...runtime, path: paths.retentionClock, lastKnown: null })
  const upkeep = new ArtifactUpkeep({ store, room, scrubRate, clock: retentionClock, runtime, log })
  onTestFinished(async () => {
    upkeep.stop()
    await store.close()
  })
  const pass = async (ms: number) => {
    clock.wall += ms
    clock.monotonic += ms
    await upkeep.tick()
  }
  return { paths, clock, store, room, upkeep, pass }
}

async function sealed(registry: Registry, text: string) {
  const { packageId } = await registry.createPackage({
    name: 'p',
    producer: 'ci',
    retentionClass: 'transient',
    actor: 'local',
  })
  const source = (async function* () {
    yield Buffer.from(text)
  })()
  const place = { relativePath: 'x', mediaType: 'text/plain', actor: 'local' }
  const file = await registry.ingestFile(packageId, { ...place, source })
  await registry.finalizePackage(packageId, { actor: 'local' })
  return { packageId, file }
}

test('where there is no store, nothing is done and none is made', async () => {
  const { store, upkeep } = keptStore()
  await upkeep.tick()
  expect([store.isFounded, store.latest]).toEqual([false, null])
})

test('a package goes when its time is over, and not before', async () => {
  const { store, pass } = keptStore()
  const { packageId } = await store.use((registry) => sealed(registry, 'bytes'))
  const status = async () => (await store.use((registry) => registry.getPackage(packageId))).status
  for (let days = 0; days < 6; days += 1) await pass(day)
  expect(await status()).toBe('finalized')
  await pass(day + hour)
  expect(await status()).toBe('garbage_collected')
  expect(await store.use((registry) => registry.stats())).toMatchObject({ objects: 0 })
  const events = await store.use((registry) => registry.auditLog({ type: 'v1.package.garbage_collected' }))
  expect(events.map(({ actor }) => actor)).toEqual(['local'])
})

test('a clock that leaps by a year empties nothing before the leap has lasted', async () => {
  const { store, clock, upkeep, pass } = keptStore()
  const { packageId } = await store.use((registry) => sealed(registry, 'bytes'))
  const status = async () => (await store.use((registry) => registry.getPackage(packageId))).status
  await pass(0)
  clock.wall += 365 * day
  await pass(0)
  expect(await upkeep.sweep('operator')).toEqual([])
  clock.wall -= 365 * day
  await pass(2 * hour)
  expect(await status()).toBe('finalized')
  clock.wall += 365 * day
  await pass(hour)
  await pass(2 * hour)
  expect(await status()).toBe('garbage_collected')
})

test('a clock that is wrong from the start empties nothing either: the log knows when it was written last', async () => {
  const first = keptStore()
  const { packageId } = await first.store.use((registry) => sealed(registry, 'bytes'))
  first.clock.wall += 365 * day
  expect(await first.upkeep.sweep('operator')).toEqual([])
  await first.upkeep.tick()
  expect((await first.store.use((registry) => registry.getPackage(packageId))).status).toBe('finalized')
})

test('bytes that were changed on the disk are found within a day', async () => {
  const { paths, store, pass } = keptStore({ 'artifacts.scrub_rate': '1000000000' })
  const { file } = await store.use((registry) => sealed(registry, 'the right bytes'))
  await pass(0)
  const hex = file.contentAddress.slice('blake3:'.length)
  const path = join(paths.artifactsObjects, 'blake3', hex.slice(0, 2), hex.slice(2, 4), hex)
  chmodSync(path, 0o600)
  writeFileSync(path, 'the wrong bytes')
  await pass(hour)
  const damaged = () => store.use((registry) => registry.auditLog({ type: 'v1.storage.location_verified' }))
  expect(await damaged()).toHaveLength(0)
  await pass(day)
  expect(await damaged()).toHaveLength(1)
})

test('nothing is read again where the rate is 0', async () => {
  const { store, pass } = keptStore({ 'artifacts.scrub_rate': '0' })
  await store.use((registry) => sealed(registry, 'bytes'))
  await pass(2 * day)
  const scrubbed = await store.use((registry) => registry.scrub({ bytesPerSecond: 1e9, actor: 'local' }))
  expect(scrubbed.objects).toBe(1)
})

test('the room is what the budget leaves beside what is stored and what is coming', async () => {
  const home = memoryDirectory()
  writeFileSync(join(home, 'object'), Buffer.alloc(64 * 1024, 1))
  const measured = { usedBytes: 0, budgetBytes: 1_000_000, availableBytes: 1_000_000, pressure: 'ok' as const }
  const room = new ArtifactRoom({ directories: [home, join(home, 'nowhere')], isElsewhere: true, disk: () => measured })
  await room.measure()
  expect(room.count()).toBe(64 * 1024)
  expect(() => room.assertFits(1_000_000)).not.toThrow()
  expect(() => room.assertFits(1_000_001)).toThrow('no room')
  room.taken(600_000)
  expect(() => room.assertFits(400_001)).toThrow('no room')
  const bytes = room.within(
    (async function* () {
      for (let n = 0; n < 5; n += 1) yield new Uint8Array(100_000)
    })(),
  )
  for (let n = 0; n < 4; n += 1) await bytes.next()
  // All of it is on its way: others are told so, and so is the fifth chunk.
  expect(() => room.assertFits(1)).toThrow('no room')
  await expect(bytes.next()).rejects.toThrow('no room')
  await delay(0)
  expect(() => room.assertFits(400_000)).not.toThrow()
})
