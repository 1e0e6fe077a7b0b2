/** The store of artifacts on large files: hashing, ingesting and serving, against the same bytes with nothing around them. */
import { createHash } from 'node:crypto'
import { createReadStream, mkdtempSync, rmSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { blake3Provider, digestStream, getAlgorithm } from '@claudemesh/artifacts'
import type { Benchmark, Contest, Sample } from '../benchmark.ts'
import { chunkBytes, chunks, drain } from './chunks.ts'
import { openStore } from './open-store.ts'

export const artifactBytes: Benchmark = {
  name: 'artifact-bytes',
  limit: 'the hashes alone one after the other; a write and an fsync of the same bytes; a read stream of the same file',
  size: { unit: 'MiB', whenAlone: 1024, inWholeRun: 128 },
  rounds: 3,
  figures: [
    {
      name: 'P1 both digests',
      about: 'digestStream / BLAKE3 and SHA-256 one after the other over the same chunks',
      target: { atLeast: 0.75 },
    },
    {
      name: 'P2 both digests, against SHA-256',
      about: 'digestStream / SHA-256 of node:crypto alone',
      target: { atLeast: 0.5 },
    },
    {
      name: 'P3 ingest',
      about: 'ingestFile, durable / the slower of digestStream and a write with fsync of the same bytes',
      target: { atLeast: 0.6 },
    },
    {
      name: 'P4 serving',
      about: 'getFile, checked / a plain read stream of the same file',
      target: { atLeast: 0.5 },
    },
  ],
  prepare,
}

async function prepare(mebibytes: number): Promise<Contest> {
  const directory = mkdtempSync(join(tmpdir(), 'claudemesh-bench-'))
  const { registry, packageId } = await openStore(directory)
  const place = { mediaType: 'application/octet-stream', actor: 'local' }
  let files = 0
  let digestSeconds = 0
  const seconds = async (work: () => Promise<unknown>): Promise<number> => {
    const started = performance.now()
    await work()
    return (performance.now() - started) / 1000
  }
  return {
    subject: async (): Promise<Sample> => {
      files += 1
      // Other bytes each time: equal ones would be there already.
      const source = async function* () {
        yield Buffer.from(String(files))
        yield* chunks(mebibytes)
      }
      digestSeconds = await seconds(() => digestStream(chunks(mebibytes)))
      let fileId = ''
      const ingestSeconds = await seconds(async () => {
        const file = await registry.ingestFile(packageId, { ...place, relativePath: `${files}`, source: source() })
        fileId = file.fileId
      })
      const serveSeconds = await seconds(async () => drain((await registry.getFile(fileId)).body))
      return {
        'P1 both digests': mebibytes / digestSeconds,
        'P2 both digests, against SHA-256': mebibytes / digestSeconds,
        'P3 ingest': mebibytes / ingestSeconds,
        'P4 serving': mebibytes / serveSeconds,
      }
    },
    limit: async (): Promise<Sample> => {
      const blake3Seconds = await seconds(() => hashAll(getAlgorithm('blake3').create(), mebibytes))
      const sha256Seconds = await seconds(() => hashAll(createHash('sha256'), mebibytes))
      const both = await seconds(() => digestStream(chunks(mebibytes)))
      const path = join(directory, 'copy')
      const writeSeconds = await seconds(() => writeSynced(path, mebibytes))
      const readSeconds = await seconds(() => drain(createReadStream(path, { highWaterMark: chunkBytes })))
      rmSync(path)
      return {
        'P1 both digests': mebibytes / (blake3Seconds + sha256Seconds),
        'P2 both digests, against SHA-256': mebibytes / sha256Seconds,
        'P3 ingest': mebibytes / Math.max(both, writeSeconds),
        'P4 serving': mebibytes / readSeconds,
      }
    },
    notes: () => [`BLAKE3 by ${blake3Provider.name}; both digests ${Math.round(mebibytes / digestSeconds)} MiB/s`],
    close: async () => {
      await registry.close()
      rmSync(directory, { recursive: true })
    },
  }
}

async function hashAll(hasher: { update(chunk: Uint8Array): unknown; digest(): unknown }, count: number) {
  for await (const chunk of chunks(count)) hasher.update(chunk)
  hasher.digest()
}

async function writeSynced(path: string, count: number): Promise<void> {
  const handle = await open(path, 'w')
  for await (const chunk of chunks(count)) await handle.write(chunk)
  await handle.sync()
  await handle.close()
}
