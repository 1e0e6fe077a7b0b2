/** Blobs that come in pieces (06 §12): what is recorded is on the disk, whatever dies, and the rest comes again. */
import { createHash, randomBytes } from 'node:crypto'
import { appendFileSync, existsSync, readdirSync, readFileSync, rmSync, statSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { digestBytes, formatContentAddress, LocalBackend, Spool } from '@claudemesh/artifacts'
import { createIdSource } from '@claudemesh/protocol'
import { expect, onTestFinished, test } from 'vitest'
import { startChild } from '../support/child.ts'
import { scratchDirectory } from '../support/scratch-directory.ts'

const nextId = createIdSource(Date.now)
const addressOf = (bytes: Uint8Array) => formatContentAddress(digestBytes(bytes).primary)

async function* source(...chunks: readonly Uint8Array[]): AsyncIterable<Uint8Array> {
  yield* chunks
}

async function* broken(...chunks: readonly Uint8Array[]): AsyncIterable<Uint8Array> {
  yield* chunks
  throw new Error('the line broke')
}

/** A spool with one blob, and the record of it that an owner would keep. */
async function openSpool(o: { readonly root?: string; readonly bytesMax?: number } = {}) {
  const root = o.root ?? join(scratchDirectory(), 'objects')
  const directory = join(root, '.spool')
  const spool = Spool.open(directory)
  const id = nextId()
  await spool.create(id)
  const record = { offset: 0 }
  const options = {
    bytesMax: o.bytesMax ?? 2 ** 30,
    record: async (offset: number) => {
      record.offset = offset
    },
  }
  const append = (bytes: AsyncIterable<Uint8Array>, by = spool) =>
    by.append({ id, offset: record.offset }, bytes, options)
  const digest = async (by = spool) => (await by.digest({ id, offset: record.offset })).primary
  return { spool, directory, root, id, path: join(directory, id), record, options, append, digest }
}

async function openBackend(root: string) {
  const backend = await LocalBackend.open({ backendId: 'local', root, now: Date.now, nextId })
  onTestFinished(() => backend.close())
  return backend
}

test('pieces become one object, whose file nobody may write', async () => {
  const { spool, root, id, path, record, append, digest } = await openSpool()
  const backend = await openBackend(root)
  const bytes = randomBytes(3_000_001)
  expect(await append(source(bytes.subarray(0, 7)))).toBe(7)
  expect(await append(source(bytes.subarray(7, 1_500_000), bytes.subarray(1_500_000)))).toBe(bytes.length)
  const address = formatContentAddress(await digest())
  expect(address).toBe(addressOf(bytes))
  const publish = () => spool.publish({ id, offset: record.offset }, { backend, address })
  expect(await publish()).toMatchObject({ sizeBytes: bytes.length, existed: false })
  expect(await publish(), 'again').toMatchObject({ existed: true })
  expect(await spool.list()).toEqual([id])
  await spool.remove(id)
  expect(await spool.list()).toEqual([])
  expect(existsSync(path)).toBe(false)
  const { body } = await backend.get(address)
  const hash = createHash('sha256')
  for await (const chunk of body) hash.update(chunk)
  expect(hash.digest('hex')).toBe(createHash('sha256').update(bytes).digest('hex'))
  const hex = address.slice('blake3:'.length)
  expect(statSync(join(root, 'blake3', hex.slice(0, 2), hex.slice(2, 4), hex)).mode & 0o777).toBe(0o400)
})

test('a blob of no bytes is one', async () => {
  const { append, digest } = await openSpool()
  expect(await append(source())).toBe(0)
  expect(formatContentAddress(await digest())).toBe(addressOf(Buffer.alloc(0)))
})

test('a process that did not see the first bytes goes on with them', async () => {
  const { directory, append, digest } = await openSpool()
  const bytes = randomBytes(2_500_000)
  await append(source(bytes.subarray(0, 1_200_000)))
  const later = Spool.open(directory)
  await append(source(bytes.subarray(1_200_000)), later)
  expect(formatContentAddress(await digest(later))).toBe(addressOf(bytes))
  expect(formatContentAddress(await digest(Spool.open(directory))), 'from the disk alone').toBe(addressOf(bytes))
})

test('what is on the disk beyond the record is dropped', async () => {
  const { path, append, digest } = await openSpool()
  await append(source(Buffer.from('one')))
  appendFileSync(path, 'written by somebody who died')
  await append(source(Buffer.from('two')))
  expect(readFileSync(path, 'utf8')).toBe('onetwo')
  expect(formatContentAddress(await digest())).toBe(addressOf(Buffer.from('onetwo')))
})

test('what came before a source failed is kept, and recorded', async () => {
  const { record, append, digest } = await openSpool()
  await expect(append(broken(Buffer.from('one'), Buffer.from('two')))).rejects.toThrow('the line broke')
  expect(record.offset).toBe(6)
  await append(source(Buffer.from('three')))
  expect(formatContentAddress(await digest())).toBe(addressOf(Buffer.from('onetwothree')))
})

test('a record that cannot be changed leaves the blob as it was recorded', async () => {
  const { spool, id, path, record, append } = await openSpool()
  await append(source(Buffer.from('one')))
  const refuse = async () => {
    throw new Error('no database')
  }
  const options = { bytesMax: 100, record: refuse }
  await expect(spool.append({ id, offset: 3 }, source(Buffer.from('two')), options)).rejects.toThrow('no database')
  expect([record.offset, readFileSync(path, 'utf8')]).toEqual([3, 'one'])
  await append(source(Buffer.from('2')))
  expect(readFileSync(path, 'utf8')).toBe('one2')
})

test('one byte too many is a size mismatch, and none of that append is kept', async () => {
  const { path, record, append } = await openSpool({ bytesMax: 5 })
  await append(source(Buffer.from('one')))
  await expect(append(source(Buffer.from('234')))).rejects.toMatchObject({ code: 'size_mismatch' })
  expect([record.offset, readFileSync(path, 'utf8')]).toEqual([3, 'one'])
})

test('of two appends at once the second is told so', async () => {
  const { append } = await openSpool()
  let release = (): void => undefined
  const released = new Promise<void>((resolve) => {
    release = resolve
  })
  async function* slow() {
    await released
    yield Buffer.from('slow')
  }
  const first = append(slow())
  await expect(append(source(Buffer.from('other')))).rejects.toMatchObject({ code: 'upload_busy' })
  release()
  expect(await first).toBe(4)
})

test('a blob whose bytes are gone, all or some of them, takes no more', async () => {
  const { path, append, digest, directory } = await openSpool()
  await append(source(Buffer.from('one')))
  truncateSync(path, 2)
  await expect(append(source(Buffer.from('two')))).rejects.toMatchObject({ code: 'upload_not_found' })
  rmSync(path)
  await expect(append(source(Buffer.from('two')))).rejects.toMatchObject({ code: 'upload_not_found' })
  await expect(digest(Spool.open(directory))).rejects.toMatchObject({ code: 'upload_not_found' })
})

test('an id that is none never becomes a path', async () => {
  const { spool } = await openSpool()
  for (const id of ['..', 'a/b', '', '../../etc/passwd']) await expect(spool.create(id)).rejects.toThrow(RangeError)
})

const size = 40 * 1024 * 1024
const kills = [
  'artifacts.spool.created',
  // Within a long append, then at its end.
  'artifacts.spool.synced',
  'artifacts.spool.recorded',
  'artifacts.spool.synced:2',
  'artifacts.spool.recorded:2',
  'artifacts.put.staged',
  'artifacts.put.renamed',
]

test.each(kills)('killed at %s, it goes on where the record says, and the object is whole', async (at) => {
  const directory = scratchDirectory()
  const args = [directory, nextId(), String(size)]
  const killed = startChild('artifacts/children/spool-step.mjs', args, { environment: { CLAUDEMESH_CRASH_AT: at } })
  expect([(await killed.exited).signal, killed.lines]).toEqual(['SIGKILL', []])
  const child = startChild('artifacts/children/spool-step.mjs', args)
  expect((await child.exited).stderr).toBe('')
  const [address = ''] = child.lines
  const hex = address.slice('blake3:'.length)
  const object = readFileSync(join(directory, 'objects/blake3', hex.slice(0, 2), hex.slice(2, 4), hex))
  expect([object.length, addressOf(object)]).toEqual([size, address])
  expect(readdirSync(join(directory, 'objects/.spool'))).toEqual([])
})

test('a disk that is full leaves what was recorded, and the rest comes when there is room', async () => {
  const directory = scratchDirectory()
  const args = [directory, nextId(), String(size)]
  const full = startChild('artifacts/children/spool-step.mjs', args, { fileBytesMax: 36 * 1024 * 1024 })
  expect((await full.exited).stderr).toContain("code: 'insufficient_storage'")
  const recorded = Number(readFileSync(join(directory, 'record'), 'utf8'))
  expect(recorded).toBeGreaterThan(0)
  expect(statSync(join(directory, 'objects/.spool', args[1] as string)).size, 'room was given back').toBe(recorded)
  const child = startChild('artifacts/children/spool-step.mjs', args)
  expect((await child.exited).stderr).toBe('')
  expect(child.lines).toHaveLength(1)
})
