/** The local backend on a real file system: the contract of every backend, and what is its own. */
import { randomBytes } from 'node:crypto'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import {
  type ContentAddress,
  digestBytes,
  formatContentAddress,
  LocalBackend,
  storageBackendCases,
} from '@claudemesh/artifacts'
import { createIdSource } from '@claudemesh/protocol'
import { describe, expect, onTestFinished, test } from 'vitest'
import { startChild } from '../support/child.ts'
import { scratchDirectory } from '../support/scratch-directory.ts'

const nextId = createIdSource(Date.now)

async function openBackend(root = join(scratchDirectory(), 'artifacts')) {
  const backend = await LocalBackend.open({ backendId: 'local', root, now: Date.now, nextId })
  onTestFinished(() => backend.close())
  return { backend, root }
}

const addressOf = (bytes: Uint8Array) => formatContentAddress(digestBytes(bytes).primary)

async function* source(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  yield bytes
}

async function read(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of body) chunks.push(chunk)
  return Buffer.concat(chunks)
}

function pathOf(root: string, address: ContentAddress): string {
  const [algorithm = '', hex = ''] = address.split(':')
  return join(root, algorithm, hex.slice(0, 2), hex.slice(2, 4), hex)
}

/** Every file below a directory, as paths relative to it. */
function filesBelow(directory: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1))
    .sort()
}

/** The lock of an open store, which SQLite gives a journal. */
function isLock(path: string): boolean {
  return /\/lock(-journal)?$/.test(path)
}

describe('the contract of storage backends', () => {
  for (const { name, run } of storageBackendCases) {
    test(name, async () => {
      const { backend, root } = await openBackend()
      await run(backend)
      const staged = filesBelow(join(root, '.tmp')).filter((path) => !isLock(path))
      expect(staged, 'nothing staged is left').toEqual([])
    })
  }
})

describe('files on the disk', () => {
  test('stand where their address says, readable by their owner alone, in directories that are nobody else’s', async () => {
    const { backend, root } = await openBackend()
    const bytes = Buffer.from('where')
    const receipt = await backend.put(addressOf(bytes), source(bytes))
    const path = pathOf(root, addressOf(bytes))
    expect(join(root, receipt.objectKey)).toBe(path)
    expect(readFileSync(path)).toEqual(bytes)
    expect(statSync(path).mode & 0o777).toBe(0o400)
    for (let directory = dirname(path); directory !== dirname(root); directory = dirname(directory)) {
      expect(statSync(directory).mode & 0o777).toBe(0o700)
    }
  })

  test('directories that are empty after a delete are gone', async () => {
    const { backend, root } = await openBackend()
    const bytes = Buffer.from('gone')
    await backend.put(addressOf(bytes), source(bytes))
    await backend.delete(addressOf(bytes))
    expect(readdirSync(root)).toEqual(['.tmp'])
  })

  test('a file that a power cut has torn is replaced by the next put, which says so', async () => {
    const { backend, root } = await openBackend()
    const bytes = randomBytes(5000)
    const address = addressOf(bytes)
    await backend.put(address, source(bytes))
    const path = pathOf(root, address)
    chmodSync(path, 0o600)
    writeFileSync(path, bytes.subarray(0, 4096))
    expect(await backend.put(address, source(bytes))).toMatchObject({ existed: false, healed: true })
    expect(readFileSync(path)).toEqual(bytes)
  })

  test('foreign files in the tree are not listed', async () => {
    const { backend, root } = await openBackend()
    const bytes = Buffer.from('listed')
    await backend.put(addressOf(bytes), source(bytes))
    writeFileSync(join(root, 'README'), 'hands off')
    mkdirSync(join(root, 'blake3', 'zz'))
    writeFileSync(join(dirname(pathOf(root, addressOf(bytes))), 'note.txt'), 'x')
    const listed: string[] = []
    for await (const { address } of backend.list()) listed.push(address)
    expect(listed).toEqual([addressOf(bytes)])
  })
})

describe('symbolic links that somebody planted', () => {
  test('in place of an object: it is not read', async () => {
    const { backend, root } = await openBackend()
    const bytes = Buffer.from('linked')
    const address = addressOf(bytes)
    const secret = join(scratchDirectory(), 'secret')
    writeFileSync(secret, 'secret')
    mkdirSync(dirname(pathOf(root, address)), { recursive: true })
    symlinkSync(secret, pathOf(root, address))
    await expect(backend.get(address)).rejects.toMatchObject({ code: 'storage_io' })
    await expect(backend.head(address)).rejects.toMatchObject({ code: 'storage_io' })
    await backend.put(address, source(bytes))
    expect(readFileSync(secret, 'utf8'), 'nor written through').toBe('secret')
    expect(await read((await backend.get(address)).body)).toEqual(bytes)
  })

  test('in place of a directory: nothing is read, written or deleted through it', async () => {
    const { backend, root } = await openBackend()
    const bytes = Buffer.from('elsewhere')
    const address = addressOf(bytes)
    const elsewhere = join(scratchDirectory(), 'elsewhere')
    const shard = dirname(pathOf(root, address))
    mkdirSync(elsewhere)
    mkdirSync(dirname(shard), { recursive: true })
    symlinkSync(elsewhere, shard)
    writeFileSync(join(elsewhere, address.slice(7)), bytes)
    for (const operation of [
      () => backend.put(address, source(bytes)),
      () => backend.get(address),
      () => backend.head(address),
      () => backend.delete(address),
    ]) {
      await expect(operation()).rejects.toMatchObject({ code: 'storage_io', reason: 'symbolic_link' })
    }
    expect(readdirSync(elsewhere)).toEqual([address.slice(7)])
  })
})

describe('a root that cannot be used', () => {
  test('that has vanished is unhealthy, is not made again, and comes back', async () => {
    const { backend, root } = await openBackend()
    const bytes = Buffer.from('back again')
    await backend.put(addressOf(bytes), source(bytes))
    renameSync(root, `${root}-unmounted`)
    expect(await backend.health()).toMatchObject({ healthy: false, detail: 'the root cannot be reached (ENOENT)' })
    const other = Buffer.from('meanwhile')
    await expect(backend.put(addressOf(other), source(other))).rejects.toMatchObject({ code: 'storage_io' })
    expect(existsSync(root)).toBe(false)
    renameSync(`${root}-unmounted`, root)
    expect(await backend.health()).toMatchObject({ healthy: true })
    expect(await read((await backend.get(addressOf(bytes))).body)).toEqual(bytes)
  })

  test('no message names a path of the host', async () => {
    const { backend, root } = await openBackend()
    rmSync(root, { recursive: true })
    const error = await backend.put(addressOf(Buffer.from('a')), source(Buffer.from('a'))).catch((thrown) => thrown)
    expect(JSON.stringify([error.message, error.data, await backend.health()])).not.toContain(root)
  })

  test('that is open to others is refused', async () => {
    const root = join(scratchDirectory(), 'open')
    mkdirSync(root)
    chmodSync(root, 0o755)
    await expect(LocalBackend.open({ backendId: 'local', root, now: Date.now, nextId })).rejects.toMatchObject({
      code: 'unsafe_permissions',
    })
  })
})

describe('staging', () => {
  test('two open stores on one root do not take each other’s staged files away', async () => {
    const { backend, root } = await openBackend()
    const bytes = Buffer.from('staged before the other opened')
    const staged = await backend.stage()
    await staged.write(bytes)
    const { backend: other } = await openBackend(root)
    await backend.put(addressOf(bytes), staged)
    expect(await read((await other.get(addressOf(bytes))).body)).toEqual(bytes)
  })

  test('what a killed process has staged is removed at the next start', async () => {
    const root = join(scratchDirectory(), 'artifacts')
    const environment = { CLAUDEMESH_CRASH_AT: 'artifacts.put.staged' }
    await startChild('artifacts/children/put-objects.mjs', [root, '1', '5000'], { environment }).exited
    expect(filesBelow(join(root, '.tmp')).filter((path) => !isLock(path)).length).toBe(1)
    await openBackend(root)
    expect(filesBelow(join(root, '.tmp')).filter((path) => !isLock(path))).toEqual([])
    expect(readdirSync(join(root, '.tmp')).length, 'the directory of the store that is open').toBe(1)
  })
})

/** What is there after a kill at each step: objects whose receipt nobody had, and what a later delete reported. */
const steps: readonly { readonly point: string; readonly deleting: boolean; readonly objects: number }[] = [
  { point: 'artifacts.put.staged', deleting: false, objects: 2 },
  { point: 'artifacts.put.sharded', deleting: false, objects: 2 },
  { point: 'artifacts.put.renamed', deleting: false, objects: 3 },
  { point: 'artifacts.delete.unlinked', deleting: true, objects: 0 },
]

describe('a process killed while it writes', () => {
  test.each(steps)(
    'at $point: every object with a receipt is there and whole',
    async ({ point, deleting, objects }) => {
      const root = join(scratchDirectory(), 'artifacts')
      const environment = { CLAUDEMESH_CRASH_AT: `${point}:3` }
      const args = [root, '5', '100000', ...(deleting ? ['delete'] : [])]
      const child = startChild('artifacts/children/put-objects.mjs', args, { environment })
      expect(await child.exited).toMatchObject({ signal: 'SIGKILL', stderr: '' })
      const { backend } = await openBackend(root)
      const found: string[] = []
      for await (const { address } of backend.list()) {
        found.push(address)
        expect(addressOf(await read((await backend.get(address)).body))).toBe(address)
      }
      expect(found.length).toBe(objects)
      const kept = child.lines.filter((line) => line.startsWith('blake3:') && !deleting)
      expect(found).toEqual(expect.arrayContaining(kept))
      console.log(`${point}: killed at the third pass, ${found.length} objects, ${kept.length} of them acknowledged`)
    },
  )
})
