/** The store of artifacts on small things: files and events, against the same work with nothing around it. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { open, rename } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Benchmark, Contest, Sample } from '../benchmark.ts'
import { prepareInsert } from '../statements.ts'
import { openBare } from './bare-database.ts'
import { openStore } from './open-store.ts'

const fileBytes = 4096
/** As many as the store reads at once. */
const parallel = 8
const transactions = 200

export const artifactLog: Benchmark = {
  name: 'artifact-log',
  limit: 'the same files written, synced and renamed; the same rows inserted by bare better-sqlite3, FULL',
  size: { unit: 'files', whenAlone: 2000, inWholeRun: 400 },
  rounds: 3,
  figures: [
    {
      name: 'P5 small files',
      about: 'ingestMany of files of 4 KiB / write, fsync, rename and fsync of the directory, 8 at a time',
      target: { atLeast: 0.5 },
    },
    {
      name: 'P6 one event, one commit',
      about: 'holds applied one after the other / one-row inserts, each its own commit',
      target: { atLeast: 0.35 },
    },
  ],
  prepare,
}

async function prepare(files: number): Promise<Contest> {
  const directory = mkdtempSync(join(tmpdir(), 'claudemesh-bench-'))
  const { registry, packageId } = await openStore(directory)
  const actor = 'local'
  let round = 0
  const rate = async (count: number, work: () => Promise<unknown>): Promise<number> => {
    const started = performance.now()
    await work()
    return (count * 1000) / (performance.now() - started)
  }
  return {
    subject: async (): Promise<Sample> => {
      round += 1
      const drafts = Array.from({ length: files }, (_, index) => ({
        relativePath: `${round}/${index}`,
        mediaType: 'application/octet-stream',
        actor,
        source: once(contentOf(round, index)),
      }))
      const small = await rate(files, async () => {
        const failed = (await registry.ingestMany(packageId, drafts)).find(({ status }) => status === 'rejected')
        if (failed !== undefined) throw new Error('a file was refused')
      })
      const events = await rate(transactions, async () => {
        for (let index = 0; index < transactions / 2; index += 1) {
          const holdId = await registry.applyHold(packageId, { actor, reason: 'bench' })
          await registry.releaseHold(holdId, { actor, reason: 'bench' })
        }
      })
      return { 'P5 small files': small, 'P6 one event, one commit': events }
    },
    limit: async (): Promise<Sample> => {
      const bare = join(directory, `bare-${round}`)
      mkdirSync(bare)
      const small = await rate(files, () => writeFiles(bare, files))
      const events = await rate(transactions, async () => insertOneByOne(join(bare, 'rows.db'), transactions))
      rmSync(bare, { recursive: true })
      return { 'P5 small files': small, 'P6 one event, one commit': events }
    },
    close: async () => {
      await registry.close()
      rmSync(directory, { recursive: true })
    },
  }
}

function contentOf(round: number, index: number): Buffer {
  const bytes = Buffer.alloc(fileBytes)
  bytes.writeUInt32BE(round)
  bytes.writeUInt32BE(index, 4)
  return bytes
}

async function* once(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  yield bytes
}

async function writeFiles(directory: string, count: number): Promise<void> {
  let next = 0
  const work = async () => {
    for (let index = next++; index < count; index = next++) {
      const handle = await open(join(directory, `.${index}`), 'wx')
      await handle.write(contentOf(0, index))
      await handle.sync()
      await handle.close()
      await rename(join(directory, `.${index}`), join(directory, `${index}`))
      const parent = await open(directory, 'r')
      await parent.sync()
      await parent.close()
    }
  }
  await Promise.all(Array.from({ length: parallel }, work))
}

function insertOneByOne(path: string, count: number): void {
  const db = openBare(path)
  db.exec('CREATE TABLE row (id INTEGER PRIMARY KEY, body BLOB NOT NULL)')
  const insert = prepareInsert(db, 'row', { id: 0, body: Buffer.alloc(0) })
  for (let id = 1; id <= count; id += 1) insert({ id, body: Buffer.alloc(300) })
  db.close()
}
