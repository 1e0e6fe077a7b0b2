/** What the broker's doctor says of the files of relayed blobs, while the broker runs, and how that is mended. */
import { chmodSync, mkdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { afterEach, expect, test, vi } from 'vitest'
import { examineBroker } from '../../apps/broker/src/doctor.ts'
import {
  type Blob,
  downloadTicket,
  putBlob,
  randomBlob,
  refusalOf,
  requestBlob,
  uploadTicket,
} from '../support/blobs.ts'
import { eventually } from '../support/eventually.ts'
import { startNode } from '../support/nodes.ts'
import { freshDatabase } from '../support/postgres.ts'
import { startBroker } from '../support/raw-broker.ts'
import { RawMember } from '../support/raw-member.ts'
import { RawMesh } from '../support/raw-mesh.ts'
import { scratchDirectory } from '../support/scratch-directory.ts'

afterEach(() => void vi.unstubAllEnvs())

const engines = [
  {
    name: 'SQLite',
    async start() {
      const { url, data } = await startBroker({ jobIntervalMs: 20 })
      return { url, directory: join(data, 'blobs'), examine: () => examineBroker({ data }) }
    },
  },
  {
    name: 'PostgreSQL',
    async start() {
      const [databaseUrl, directory] = [await freshDatabase(), join(scratchDirectory(), 'blobs')]
      const env = { CLAUDEMESH_BROKER_BLOB_DIRECTORY: directory, CLAUDEMESH_BROKER_REGISTRATION: 'open' }
      const { url } = await startNode({ databaseUrl, env })
      vi.stubEnv('CLAUDEMESH_BROKER_BLOB_DIRECTORY', directory)
      return { url, directory, examine: () => examineBroker({ databaseUrl }) }
    },
  },
]

for (const { name, start } of engines) {
  test(`rows without a file and files without a row are named, and are gone when they are mended (${name})`, async () => {
    const { url, directory, examine } = await start()
    const httpUrl = new URL(url.replace(/^ws/, 'http')).origin
    const mesh = new RawMesh()
    const bobIdentity = mesh.join('bob')
    const alice = await RawMember.connect(url, mesh.founder)
    const bob = await RawMember.connect(url, bobIdentity)
    const [gone, cut, sound, stray] = [1, 2, 3, 4].map((n) => randomBlob(n * 1_000)) as [Blob, Blob, Blob, Blob]
    for (const blob of [gone, cut, sound]) await putBlob(httpUrl, blob, await uploadTicket(alice, blob, [bobIdentity]))
    expect((await examine()).findings).toEqual([])

    const fileOf = ({ address }: Blob) => {
      const hex = address.slice('blake3:'.length)
      return join(directory, 'objects/blake3', hex.slice(0, 2), hex.slice(2, 4), hex)
    }
    rmSync(fileOf(gone))
    chmodSync(fileOf(cut), 0o600)
    truncateSync(fileOf(cut), 10)
    mkdirSync(dirname(fileOf(stray)), { recursive: true, mode: 0o700 })
    writeFileSync(fileOf(stray), stray.bytes, { mode: 0o400 })
    const { findings } = await examine()
    expect(findings).toMatchObject([
      {
        name: 'blob_file_missing',
        count: 2,
        rows: [gone, cut].sort(byAddress).map((blob) => ({ address: blob.address, file: fileOf(blob) })),
        remedy: expect.stringContaining('`claudemesh artifact share`'),
      },
      {
        name: 'blob_file_unknown',
        count: 1,
        rows: [{ file: fileOf(stray), bytes: 4_000 }],
        remedy: expect.stringContaining('`rm`'),
      },
    ])

    rmSync(fileOf(stray))
    for (const blob of [gone, cut]) {
      const answer = await requestBlob(httpUrl, blob.address, {
        method: 'GET',
        ticket: await downloadTicket(bob, blob),
      })
      expect(await refusalOf(answer)).toBe('404 blob_not_found')
      await putBlob(httpUrl, blob, await uploadTicket(alice, blob, [bobIdentity]))
    }
    await eventually('nothing is found', async () => (await examine()).findings.length === 0)
  }, 60_000)
}

test('a directory that is not the place of the blobs is not judged by', async () => {
  const { url, directory, examine } = await (engines[0] as (typeof engines)[0]).start()
  const mesh = new RawMesh()
  const alice = await RawMember.connect(url, mesh.founder)
  const blob = randomBlob(1_000)
  await putBlob(new URL(url.replace(/^ws/, 'http')).origin, blob, await uploadTicket(alice, blob, [mesh.founder]))
  rmSync(join(directory, 'objects/blake3'), { recursive: true })
  writeFileSync(join(directory, 'place'), 'directory:another\n')
  expect((await examine()).findings).toEqual([])
})

function byAddress(one: Blob, other: Blob): number {
  return one.address < other.address ? -1 : 1
}
