/**
 * A store that is killed at each step of what it does (06 §11, "Crashes"): afterwards the operation has happened or it has
 * not, nothing refers to bytes that are not there, and the next start needs nobody.
 */
import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { openRegistry, type Registry } from '@claudemesh/artifacts'
import { createIdSource } from '@claudemesh/protocol'
import { describe, expect, onTestFinished, test } from 'vitest'
import { bundledChild, startChild } from '../support/child.ts'
import { scratchDirectory } from '../support/scratch-directory.ts'
import { engines } from './engines.ts'

const actor = 'local'
/** Of a package with five files. */
const layout = fileURLToPath(new URL('../../packages/artifacts/vectors/golden/oci-layout', import.meta.url))

interface Row {
  readonly step: 'open' | 'ingest' | 'batch' | 'begin' | 'upload' | 'drop' | 'import' | 'finalize' | 'replay' | 'gc'
  readonly at: string
  /** Whether the operation has happened, as a reader sees it afterwards. */
  readonly happened: boolean
}

const onBytes: readonly Row[] = [
  { step: 'ingest', at: 'artifacts.put.staged', happened: false },
  { step: 'ingest', at: 'artifacts.put.sharded', happened: false },
  { step: 'ingest', at: 'artifacts.put.renamed', happened: false },
  { step: 'ingest', at: 'artifacts.ingest.published', happened: false },
  { step: 'ingest', at: 'artifacts.ingest.locked', happened: false },
  { step: 'begin', at: 'artifacts.spool.created', happened: false },
  { step: 'begin', at: 'artifacts.upload.spooled', happened: false },
  { step: 'upload', at: 'artifacts.spool.synced', happened: false },
  { step: 'upload', at: 'artifacts.spool.recorded', happened: false },
  { step: 'upload', at: 'artifacts.put.renamed', happened: false },
  { step: 'upload', at: 'artifacts.upload.published', happened: false },
  { step: 'upload', at: 'artifacts.ingest.locked', happened: false },
  { step: 'upload', at: 'artifacts.upload.committed', happened: true },
  { step: 'drop', at: 'artifacts.upload.dropped', happened: true },
  { step: 'finalize', at: 'artifacts.finalize.locked', happened: false },
  { step: 'gc', at: 'artifacts.delete.unlinked', happened: true },
]

const onBoth: readonly Row[] = [
  { step: 'import', at: 'artifacts.import.published', happened: false },
  { step: 'import', at: 'artifacts.import.written', happened: false },
  { step: 'gc', at: 'artifacts.gc.released', happened: true },
  { step: 'gc', at: 'artifacts.gc.locked', happened: true },
  { step: 'gc', at: 'artifacts.gc.deleted', happened: true },
]

// The first transaction of a process that opens a store writes down its configuration.
const rows: Readonly<Record<(typeof engines)[number]['name'], readonly Row[]>> = {
  SQLite: [
    { step: 'open', at: 'migration.recorded', happened: false },
    { step: 'open', at: 'migration.before_commit', happened: false },
    ...onBytes,
    { step: 'ingest', at: 'transaction.before_commit:2', happened: false },
    { step: 'ingest', at: 'transaction.committed:2', happened: true },
    { step: 'batch', at: 'transaction.before_commit:2', happened: false },
    { step: 'batch', at: 'transaction.committed:2', happened: true },
    // Its offset, its size, then the file.
    { step: 'upload', at: 'transaction.before_commit:2', happened: false },
    { step: 'upload', at: 'transaction.committed:3', happened: false },
    { step: 'upload', at: 'transaction.before_commit:4', happened: false },
    { step: 'upload', at: 'transaction.committed:4', happened: true },
    { step: 'import', at: 'transaction.before_commit:2', happened: false },
    { step: 'import', at: 'transaction.committed:2', happened: true },
    { step: 'finalize', at: 'transaction.before_commit:2', happened: false },
    { step: 'finalize', at: 'transaction.committed:2', happened: true },
    { step: 'replay', at: 'transaction.before_commit:2', happened: true },
    { step: 'replay', at: 'transaction.committed:2', happened: true },
    { step: 'gc', at: 'transaction.before_commit:2', happened: false },
    ...onBoth,
  ],
  PostgreSQL: [
    { step: 'open', at: 'postgres.migration.recorded', happened: false },
    { step: 'open', at: 'postgres.migration.before_commit', happened: false },
    { step: 'ingest', at: 'postgres.before_commit:2', happened: false },
    { step: 'ingest', at: 'postgres.committed:2', happened: true },
    { step: 'batch', at: 'postgres.before_commit:2', happened: false },
    { step: 'batch', at: 'postgres.committed:2', happened: true },
    { step: 'upload', at: 'artifacts.spool.recorded', happened: false },
    { step: 'upload', at: 'artifacts.upload.published', happened: false },
    { step: 'upload', at: 'postgres.before_commit:4', happened: false },
    { step: 'upload', at: 'postgres.committed:4', happened: true },
    { step: 'import', at: 'postgres.before_commit:2', happened: false },
    { step: 'import', at: 'postgres.committed:2', happened: true },
    { step: 'finalize', at: 'postgres.before_commit:2', happened: false },
    { step: 'finalize', at: 'postgres.committed:2', happened: true },
    { step: 'replay', at: 'artifacts.replay.filled', happened: true },
    { step: 'replay', at: 'artifacts.replay.swapped', happened: true },
    { step: 'gc', at: 'postgres.before_commit:2', happened: false },
    ...onBoth,
  ],
}

async function* bytesOf(text: string): AsyncIterable<Uint8Array> {
  yield Buffer.from(text)
}

async function read(registry: Registry, fileId: string): Promise<string> {
  const chunks: Uint8Array[] = []
  for await (const chunk of (await registry.getFile(fileId)).body) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}

interface Ids {
  readonly packageId: string
  readonly aborted: string
  readonly uploadId: string
}

/** A store with an open package of one file, an upload of which some has come, and an aborted package whose bytes may go. */
async function prepare(databaseUrl: string, storageRoot: string) {
  const registry = await openRegistry({ databaseUrl, storageRoot })
  const draft = { name: 'p', producer: 'test', retentionClass: 'transient', actor }
  const place = { relativePath: 'first', mediaType: 'text/plain', actor }
  const { packageId } = await registry.createPackage(draft)
  await registry.ingestFile(packageId, { ...place, source: bytesOf('first') })
  const { packageId: aborted } = await registry.createPackage(draft)
  await registry.ingestFile(aborted, { ...place, source: bytesOf('to be collected') })
  await registry.abortPackage(aborted, { actor })
  const { uploadId } = await registry.createUpload(packageId, { ...place, relativePath: 'dir/crash.txt' })
  await registry.appendUpload(uploadId, { offset: 0, source: bytesOf('crash') })
  const digest = await registry.viewStateDigest()
  await registry.close()
  return { packageId, aborted, uploadId, digest }
}

async function hasHappened(registry: Registry, step: Row['step'], ids: Ids) {
  switch (step) {
    case 'ingest':
    case 'upload':
      return (await registry.getPackage(ids.packageId)).fileCount === 2
    case 'batch': {
      const { fileCount } = await registry.getPackage(ids.packageId)
      expect([1, 3], 'both of its files or none').toContain(fileCount)
      return fileCount === 3
    }
    case 'drop':
      return (await registry.uploadStatus(ids.uploadId).catch(({ code }) => code)) === 'upload_not_found'
    case 'finalize':
      return (await registry.getPackage(ids.packageId)).status === 'finalized'
    case 'gc':
      return (await registry.getPackage(ids.aborted)).status === 'garbage_collected'
    case 'import':
      return (await registry.listPackages()).items.some(({ provenance }) => provenance['imported_from'] !== null)
    case 'begin':
      // Nobody knows its id.
      return false
    default:
      return true
  }
}

async function repeat(registry: Registry, step: Row['step'], { packageId, uploadId }: Ids): Promise<void> {
  if (step === 'finalize') await registry.finalizePackage(packageId, { actor })
  if (step === 'replay') await registry.replay()
  if (step === 'import') await registry.importOci(layout, { producer: 'test', retentionClass: 'transient', actor })
  if (step === 'upload') await goOn(registry, uploadId)
  if (step === 'batch') await putBoth(registry, packageId)
  if (step !== 'ingest') return
  const place = { relativePath: 'dir/crash.txt', mediaType: 'text/plain', actor, idempotencyKey: 'the-crash' }
  const file = await registry.ingestFile(packageId, { ...place, source: bytesOf('crash here') })
  expect(await read(registry, file.fileId)).toBe('crash here')
  expect((await registry.getPackage(packageId)).fileCount).toBe(2)
}

/** Both files of the batch, whatever there is of them. */
async function putBoth(registry: Registry, packageId: string): Promise<void> {
  const place = { mediaType: 'text/plain', actor, replace: true }
  const paths = ['one', 'dir/crash.txt']
  const outcomes = await registry.batch((changes) =>
    paths.map((relativePath) =>
      changes.ingestFile(packageId, { ...place, relativePath, source: bytesOf('crash here') }),
    ),
  )
  expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled'])
}

/** What whoever sends an upload does who got no answer: asks how far it came, and goes on there. */
async function goOn(registry: Registry, uploadId: string): Promise<void> {
  const known = await registry.uploadStatus(uploadId).catch(() => null)
  if (known !== null) {
    const { offset } = known
    expect(offset, 'what was acknowledged').toBeGreaterThanOrEqual('crash'.length)
    await registry.appendUpload(uploadId, { offset, source: bytesOf('crash here'.slice(offset)) })
  }
  const file = await registry.completeUpload(uploadId, { actor })
  expect(await read(registry, file.fileId)).toBe('crash here')
}

function spooled(storageRoot: string): string[] {
  return readdirSync(join(storageRoot, '.uploads')).filter((name) => !name.startsWith('lock'))
}

/** Every reference has its bytes, the views are those of the log, and nothing is left of whoever was killed. */
async function assertSound(registry: Registry, storageRoot: string): Promise<void> {
  expect(await registry.checkViews()).toMatchObject({ agree: true })
  for (const { packageId, status } of (await registry.listPackages()).items) {
    if (status === 'garbage_collected') continue
    const outcomes = (await registry.verify({ packageId, actor })).map(({ outcome }) => outcome)
    expect(new Set(outcomes)).toEqual(new Set(['verified']))
  }
  // One staging directory: that of the store which is open.
  expect(readdirSync(join(storageRoot, '.tmp')).length).toBe(1)
}

for (const { name, freshUrl } of engines) {
  describe(`a store that is killed (${name})`, () => {
    for (const { step, at, happened } of rows[name]) {
      test(`in ${step} at ${at}: it has ${happened ? '' : 'not '}happened, and goes on`, async () => {
        const databaseUrl = await freshUrl()
        const storageRoot = join(scratchDirectory(), 'objects')
        const ids = step === 'open' ? null : await prepare(databaseUrl, storageRoot)
        const args = [databaseUrl, storageRoot, step, ids?.packageId ?? '', ids?.uploadId ?? '', layout]
        const child = startChild('artifacts/children/registry-step.mjs', args, {
          environment: { CLAUDEMESH_CRASH_AT: at },
        })
        const { signal, stderr } = await child.exited
        expect([signal, stderr], 'it was killed there').toEqual(['SIGKILL', ''])
        expect(child.lines, 'nothing was acknowledged').toEqual([])

        const registry = await openRegistry({ databaseUrl, storageRoot })
        onTestFinished(() => registry.close())
        if (ids === null) {
          expect((await registry.listPackages()).items).toEqual([])
          return
        }
        expect(await hasHappened(registry, step, ids)).toBe(happened)
        if (step === 'replay') expect(await registry.viewStateDigest()).toBe(ids.digest)
        await assertSound(registry, storageRoot)

        // Asked again, as whoever got no answer does.
        await repeat(registry, step, ids)
        await registry.gc({ actor, graceMs: 0 })
        if (step !== 'begin') expect(await hasHappened(registry, step, ids)).toBe(true)
        expect((await registry.stats()).unreferencedBytes, 'garbage is gone').toBe(0)
        await registry.sweepUploads()
        const isOpen = await registry.uploadStatus(ids.uploadId).then(Boolean, () => false)
        expect(spooled(storageRoot), 'bytes without an upload are gone').toEqual(isOpen ? [ids.uploadId] : [])
        await assertSound(registry, storageRoot)
      })
    }
  })
}

for (const { name, freshUrl } of engines) {
  test(`a collection that is killed over bytes which an ingest has just found there takes nothing from it (${name})`, async () => {
    const databaseUrl = await freshUrl()
    const storageRoot = join(scratchDirectory(), 'objects')
    const { packageId } = await prepare(databaseUrl, storageRoot)
    const child = bundledChild('artifacts/children/registry-step.mjs')
    const env = { ...process.env, CLAUDEMESH_CRASH_AT: 'artifacts.gc.deleted' }
    let hasEnded = false
    let killed: NodeJS.Signals | null = null
    const now = () => {
      // Asked for the time of the receipt: the bytes were found there, and nothing is committed yet.
      if (hasEnded && killed === null) {
        killed = spawnSync(process.execPath, [child, databaseUrl, storageRoot, 'gc'], { env }).signal
      }
      return Date.now()
    }
    const registry = await openRegistry({
      databaseUrl,
      storageRoot,
      runtime: { now, nextId: createIdSource(Date.now) },
    })
    onTestFinished(() => registry.close())
    async function* source() {
      yield Buffer.from('to be collected')
      hasEnded = true
    }
    const place = { relativePath: 'kept', mediaType: 'text/plain', actor }
    const { fileId, deduplicated } = await registry.ingestFile(packageId, { ...place, source: source() })
    expect([killed, deduplicated]).toEqual(['SIGKILL', true])
    expect(await read(registry, fileId)).toBe('to be collected')
  })
}

test('every step is killed at', () => {
  const killed = engines.flatMap(({ name }) => rows[name])
  console.log(`steps at which a store was killed: ${killed.length}`)
  expect(killed.length).toBeGreaterThan(25)
})
