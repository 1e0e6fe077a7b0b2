/** Databases of stores that are damaged on purpose, and what is made of them (03 §5, 06 §5). `CLAUDEMESH_TEST_PAGES=all`. */
import { copyFileSync, mkdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Event, openRegistry, type Registry, salvageStore } from '@claudemesh/artifacts'
import { importSigningKeyPair } from '@claudemesh/identity'
import BetterSqlite3 from 'better-sqlite3'
import { describe, expect, onTestFinished, test } from 'vitest'
import { scratchDirectory } from '../support/scratch-directory.ts'
import { sample, seeded } from '../support/seed.ts'

const pageBytes = 4096
const actor = 'local'

interface Place {
  readonly directory: string
  readonly path: string
  readonly storageRoot: string
}

/** What a store held before it was damaged. */
interface Former extends Place {
  readonly viewState: string
  readonly events: readonly Event[]
  /** By package: its manifest, and its files with their addresses. */
  readonly finalized: ReadonlyMap<string, { readonly digest: string; readonly files: readonly string[] }>
  readonly open: string
}

async function openAt({ path, storageRoot }: Omit<Place, 'directory'>): Promise<Registry> {
  const registry = await openRegistry({ databaseUrl: `sqlite:${path}`, storageRoot })
  onTestFinished(() => registry.close())
  return registry
}

async function* bytesOf(text: string): AsyncIterable<Uint8Array> {
  yield Buffer.from(text)
}

async function filesOf(registry: Registry, packageId: string): Promise<readonly string[]> {
  const { items } = await registry.listFiles(packageId, { after: '', limit: 1000 })
  return items.map(({ relativePath, contentAddress }) => `${relativePath} ${contentAddress}`)
}

/** A store with five finalized packages, one of them signed, one held and one with a file that took the place of another. */
async function makeStore(): Promise<Former> {
  const directory = scratchDirectory()
  mkdirSync(join(directory, 'db'), { mode: 0o700 })
  const place = { directory, path: join(directory, 'db/registry.db'), storageRoot: join(directory, 'objects') }
  const registry = await openAt(place)
  const finalized = new Map<string, { digest: string; files: readonly string[] }>()
  const make = async (name: string) => {
    const draft = { name, producer: 'test', retentionClass: 'transient', actor, metadata: { text: 'm'.repeat(400) } }
    const { packageId } = await registry.createPackage(draft)
    for (let index = 0; index < 4; index += 1) {
      const file = { relativePath: `file-${index}`, mediaType: 'text/plain', actor }
      await registry.ingestFile(packageId, { ...file, source: bytesOf(`${name} ${index}`) })
    }
    const again = { relativePath: 'file-0', mediaType: 'text/plain', actor, replace: true }
    await registry.ingestFile(packageId, { ...again, source: bytesOf(`${name} anew`) })
    return packageId
  }
  for (let number = 0; number < 5; number += 1) {
    const packageId = await make(`package-${number}`)
    const { manifestDigest } = await registry.finalizePackage(packageId, { actor })
    finalized.set(packageId, { digest: manifestDigest, files: await filesOf(registry, packageId) })
  }
  const [first = '', second = ''] = finalized.keys()
  await registry.sign(first, { keys: importSigningKeyPair(Buffer.alloc(32, 7)), actor })
  await registry.applyHold(second, { actor, reason: 'asked for' })
  const open = await make('open')
  const events: Event[] = []
  const { lastSequence } = await registry.head()
  for await (const event of registry.tailEvents(0)) {
    events.push(event)
    if (event.sequence === lastSequence) break
  }
  const viewState = await registry.viewStateDigest()
  await registry.close()
  return { ...place, viewState, events, finalized, open }
}

async function salvage(former: Former) {
  const to = `${former.path}.salvaged`
  const { events, isWhole } = await salvageStore({ from: former.path, to })
  const registry = await openAt({ path: to, storageRoot: former.storageRoot })
  return { events, isWhole, registry }
}

/** What holds of every salvaged store, whatever was damaged. */
async function expectHonest(
  former: Former,
): Promise<{ readonly lost: number; readonly isWhole: boolean; readonly registry: Registry }> {
  const before = readFileSync(former.path)
  const { events, isWhole, registry } = await salvage(former)
  expect(readFileSync(former.path).equals(before), 'the damaged file is only read').toBe(true)
  const { agree, applied, unknown } = await registry.checkViews()
  expect([agree, unknown]).toEqual([true, events.lost])
  expect(applied).toBe(events.kept + events.restored)
  if (isWhole) expect(await registry.viewStateDigest()).toBe(former.viewState)
  for (const event of await eventsOf(registry, former.events.length)) {
    if (event.event_type === 'v1.log.event_lost') continue
    const { chain_digest: _, ...written } = former.events[event.sequence - 1] as Event
    expect(event).toMatchObject(written)
  }
  for (const { sequence, subject_id, event_type } of former.events) {
    const wanted = event_type === 'v1.package.finalized' ? former.finalized.get(subject_id) : undefined
    if (wanted === undefined || !(await isKnown(registry, subject_id))) continue
    const { status, manifestDigest } = await registry.getPackage(subject_id)
    if (status === 'created') continue
    expect(manifestDigest, `of event ${sequence}`).toBe(wanted.digest)
    expect(await filesOf(registry, subject_id), `of event ${sequence}`).toEqual(wanted.files)
    expect((await registry.verify({ packageId: subject_id, actor })).map(({ outcome }) => outcome)).not.toContain(
      'missing',
    )
  }
  const { damaged } = await registry.adoptUnreferenced({ actor })
  expect(damaged).toEqual([])
  expect((await registry.gc({ actor, dryRun: true, graceMs: 0 })).objects).toEqual([])
  return { lost: events.lost, isWhole, registry }
}

async function eventsOf(registry: Registry, upTo: number): Promise<readonly Event[]> {
  const events: Event[] = []
  if (upTo > 0 && (await registry.head()).lastSequence >= upTo) {
    for await (const event of registry.tailEvents(0)) {
      events.push(event)
      if (event.sequence === upTo) break
    }
  }
  return events
}

async function isKnown(registry: Registry, packageId: string): Promise<boolean> {
  const { items } = await registry.listPackages({ limit: 1000 })
  return items.some((found) => found.packageId === packageId)
}

/** Changes the log behind its back. */
function alter(path: string, sql: string): void {
  const db = new BetterSqlite3(path)
  db.exec('DROP TRIGGER events_are_not_changed; DROP TRIGGER events_are_not_deleted')
  db.exec(sql)
  db.pragma('wal_checkpoint(TRUNCATE)')
  db.close()
}

describe('a damaged database of a store', () => {
  test('gives back all that is on other pages, says what is lost, and leaves no bytes to be collected', async () => {
    const former = await makeStore()
    const sound = join(former.directory, 'sound.db')
    copyFileSync(former.path, sound)
    const pages = statSync(sound).size / pageBytes
    const all = Array.from({ length: pages }, (_, page) => page)
    const { seed } = seeded()
    const some = process.env['CLAUDEMESH_TEST_PAGES'] === 'all' ? all : sample(all, 3, seed)
    let harmless = 0
    for (const page of some) {
      const bytes = readFileSync(sound)
      bytes.fill(0xa5, page * pageBytes, (page + 1) * pageBytes)
      writeFileSync(former.path, bytes)
      const { isWhole } = await expectHonest(former).catch((error: unknown) => {
        throw new Error(`seed ${seed}, page ${page} of ${pages}`, { cause: error })
      })
      harmless += isWhole ? 1 : 0
    }
    console.log(`${some.length} of ${pages} pages overwritten, ${harmless} without a loss`)
  })

  test('is whole again when its log is, whatever became of the rest', async () => {
    const former = await makeStore()
    alter(
      former.path,
      `DELETE FROM storage_locations; UPDATE artifact_packages SET name = 'another'; DELETE FROM event_log_head`,
    )
    expect((await expectHonest(former)).isWhole).toBe(true)
  })

  test('that is cut, or has a damaged head, keeps what is left of it', async () => {
    const former = await makeStore()
    const sound = readFileSync(former.path)
    truncateSync(former.path, Math.floor(sound.length / pageBytes / 2) * pageBytes)
    await expectHonest(former)
    sound.fill(0xa5, 0, 100)
    writeFileSync(former.path, sound)
    expect((await expectHonest(former)).isWhole).toBe(true)
  })

  test('that is gone, or is none any more, leaves the bytes in packages that nobody collects', async () => {
    const former = await makeStore()
    writeFileSync(former.path, Buffer.alloc(50_000, 7))
    expect((await expectHonest(former)).isWhole).toBe(false)
    rmSync(former.path)
    const { events, isWhole, registry } = await salvage(former)
    expect([events, isWhole]).toEqual([{ kept: 0, lost: 0, restored: 0 }, false])
    const { packages, objects } = await registry.adoptUnreferenced({ actor })
    expect([packages.length, objects]).toEqual([1, 30])
    expect((await registry.gc({ actor, dryRun: true, graceMs: 0 })).objects).toEqual([])
    const { items } = await registry.listFiles(packages[0] ?? '', { after: '', limit: 100 })
    expect(
      items.map(({ relativePath, contentAddress }) => relativePath.replace('/', ':') === contentAddress),
    ).not.toContain(false)
  })
})

describe('a log that has lost events', () => {
  test('brings finalized packages back from their manifests, with their signatures', async () => {
    const former = await makeStore()
    const [first = '', second = ''] = former.finalized.keys()
    alter(
      former.path,
      `DELETE FROM events WHERE subject_id IN ('${first}', '${second}') AND event_type NOT IN ('v1.package.finalized', 'v1.package.signed')`,
    )
    const { lost, registry } = await expectHonest(former)
    expect(lost).toBeGreaterThan(12)
    for (const packageId of [first, second]) {
      expect(await registry.getPackage(packageId)).toMatchObject({
        status: 'finalized',
        name: expect.stringMatching(/^package-[01]$/),
      })
    }
    expect(await registry.verifySignatures(first, () => 'trusted')).toMatchObject([{ verdict: 'valid' }])
  })

  test('keeps followers at their numbers: what is lost at its end is lost under a number', async () => {
    const former = await makeStore()
    const { length } = former.events
    alter(former.path, `DELETE FROM events WHERE sequence > ${length - 3}`)
    const { lost, registry } = await expectHonest(former)
    expect([lost, (await registry.head()).lastSequence >= length]).toEqual([3, true])
  })

  test('believes no payload, and no field, that was changed; a chain digest that was changed is computed anew', async () => {
    const former = await makeStore()
    const ingested = former.events.filter(({ event_type }) => event_type === 'v1.file.ingested')
    const changes = ['payload = zeroblob(length(payload))', 'created_at = created_at + 1', `actor = 'mallory'`]
    // One of each package, that nothing else in the log rests on.
    const altered = [...changes, 'chain_digest = zeroblob(32)'].map(
      (change, index) => `UPDATE events SET ${change} WHERE sequence = ${ingested[index * 5 + 2]?.sequence}`,
    )
    alter(former.path, altered.join(';'))
    expect((await expectHonest(former)).lost).toBe(changes.length)
  })
})
