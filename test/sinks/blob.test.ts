/** Rows as objects in a directory or a bucket: a history, its driver, and what is found at the destination. */
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { HistoryRow } from '@claudemesh/protocol'
import { describe, expect, test } from 'vitest'
import {
  type BlobDestination,
  BlobSink,
  type BlobWriter,
  type ChunkLimits,
  jsonlWriter,
  LocalDirectory,
  parquetWriter,
} from '../../packages/sinks/src/index.ts'
import { messages, rowOf } from '../history/history-under-test.ts'
import { countTo } from '../support/batch-receiver.ts'
import { readIndependently, typesOf } from '../support/parquet-reader.ts'
import { ExportedHistory } from './exported-history.ts'

const writers: readonly BlobWriter[] = [parquetWriter, jsonlWriter]

for (const writer of writers) {
  describe(`blob: ${writer.extension} in a directory`, () => {
    test('4.1 blob: with nothing new makes no object, with N new rows one of those, whatever is there already', async () => {
      const { history, sink, objects } = exported(writer)
      history.add(3000)
      await sink.run()
      expect(objects()).toHaveLength(1)
      history.rowsRead = 0
      await sink.run()
      expect([objects().length, history.rowsRead], 'not a row is read').toEqual([1, 0])
      history.add(2)
      await sink.run()
      expect(objects()).toHaveLength(2)
      expect(history.rowsRead, 'each once to fix the chunk, once to write it').toBe(4)
      expect(statSync(objects()[1] ?? '').size).toBeLessThan(6000)
    })

    test('4.2 blob: across a front-prune each row is exported once', async () => {
      const { history, sink, numbers } = exported(writer)
      for (let round = 1; round <= 3; round += 1) {
        history.add(300)
        await sink.run()
        await history.prune()
      }
      expect(await numbers()).toEqual(countTo(900))
    })

    test('4.3 blob: across a compaction each row is exported once, and the file is another one', async () => {
      const { history, sink, numbers, faults } = exported(writer)
      faults.push('before')
      history.add(500)
      await history.prune()
      history.add(500)
      expect((await sink.run()).error).toContain('the disk is away')
      const [before, after] = await history.compact()
      expect(after).not.toBe(before)
      history.add(1)
      await sink.run()
      expect(await numbers()).toEqual(countTo(1001))
    })

    test('4.4 blob: what failed is put again from the watermark on, under the same keys, although rows came meanwhile', async () => {
      const { history, sink, objects, numbers, faults } = exported(writer, {
        limits: { rowsMax: 400, bytesMax: 1 << 20, chunksMax: 4 },
      })
      history.add(500)
      await sink.run()
      const acknowledged = objects()
      history.add(1000)
      faults.push(null, 'before')
      expect((await sink.run()).error).toContain('the disk is away')
      expect((await sink.status()).partitions[0]).toMatchObject({ acked: 500, failures: 1, isShipping: true })
      const shipped = objects()
        .filter((path) => !acknowledged.includes(path))
        .map(digestOf)
      expect(shipped).toEqual([expect.stringContaining('S.0000000000000500-0000000000000900.')])
      history.add(100)
      history.rowsRead = 0
      expect((await sink.run()).error).toBe(null)
      expect(history.rowsRead, 'the suffix, and what came to fix its chunk and to write it').toBe(1000 + 2 * 100)
      expect(objects().map(digestOf)).toEqual(expect.arrayContaining(shipped))
      expect(objects().map((path) => path.split('/').at(-1)?.split('.')[1])).toEqual([
        '0000000000000000-0000000000000400',
        '0000000000000400-0000000000000500',
        '0000000000000500-0000000000000900',
        '0000000000000900-0000000000001300',
        '0000000000001300-0000000000001500',
        '0000000000001500-0000000000001600',
      ])
      expect(await numbers()).toEqual(countTo(1600))
      expect((await sink.status()).partitions[0]).toMatchObject({ failures: 0, retryAt: null, rowsBehind: 0 })
    })

    test('4.5 blob: an advance that was lost puts the same bytes under the same key, and no second object', async () => {
      const { history, sink, objects, numbers, faults } = exported(writer)
      history.add(100)
      faults.push('after')
      expect((await sink.run()).error).toContain('the disk is away')
      const digests = objects().map(digestOf)
      expect(digests).toHaveLength(1)
      history.add(50)
      await sink.run()
      expect(objects().map(digestOf)).toEqual([...digests, expect.any(String)])
      expect(await numbers()).toEqual(countTo(150))
    })

    test('4.5 blob: a watermark that is gone is found again at the destination, and nothing is exported twice', async () => {
      const { history, sink, objects, numbers, watermark } = exported(writer)
      history.add(100)
      await sink.run()
      rmSync(watermark)
      history.add(10)
      await expect(sink.run()).rejects.toMatchObject({ code: 'sink_stopped' })
      expect(await sink.reset(messages, 'from-destination')).toBe(100)
      await sink.run()
      expect(objects()).toHaveLength(2)
      expect(await numbers()).toEqual(countTo(110))
    })

    test('4.5 blob: a watermark that is gone and reset to the start puts the same key again', async () => {
      const { history, sink, objects, watermark } = exported(writer)
      history.add(100)
      await sink.run()
      const digests = objects().map(digestOf)
      rmSync(watermark)
      await sink.reset(messages, 0)
      await sink.run()
      expect(objects().map(digestOf)).toEqual(digests)
    })

    test('a chunk of which rows were pruned after it was put has the object that it had', async () => {
      const { history, sink, objects, numbers, faults } = exported(writer)
      history.add(10)
      faults.push('after')
      await sink.run()
      history.add(5)
      expect(await history.prune()).toBe(10)
      await sink.run()
      expect(objects()).toHaveLength(2)
      expect(await numbers()).toEqual(countTo(15))
    })

    test('large units are cut by rows, where the intent says', async () => {
      const { history, sink, objects, numbers } = exported(writer, {
        limits: { rowsMax: 400, bytesMax: 1 << 20, chunksMax: 2 },
      })
      history.add(1000)
      await sink.run()
      expect(objects().map((path) => path.split('/').at(-1)?.split('.')[1])).toEqual([
        '0000000000000000-0000000000000400',
        '0000000000000400-0000000000000800',
        '0000000000000800-0000000000001000',
      ])
      expect(await numbers()).toEqual(countTo(1000))
    })

    test('what somebody else has put under the key is not taken for an export', async () => {
      const one = exported(writer)
      one.history.add(10)
      await one.sink.run()
      const other = exported(writer, { directory: one.directory })
      other.history.add(10, 'of another daemon')
      expect((await other.sink.run()).error).toContain('there is another')
      expect((await other.sink.status()).partitions[0]).toMatchObject({ acked: 0, failures: 1 })
    })

    test('equal rows are equal bytes, and come back as they were', async () => {
      const rows = sampleRows(5000)
      const [bytes, again] = [await writer.encode(rows), await writer.encode(structuredClone(rows))]
      expect(Buffer.compare(bytes, again)).toBe(0)
      expect(await writer.decode(bytes)).toEqual(rows)
    })
  })
}

test('4.6 smoke: Parquet on local files through a swap, three ticks, read back by another implementation', async () => {
  const { history, sink, objects } = exported(parquetWriter)
  for (let tick = 1; tick <= 3; tick += 1) {
    history.add(40)
    await sink.run()
    await history.prune()
    const [before, after] = await history.compact()
    expect(after).not.toBe(before)
  }
  const rows = objects().flatMap((path) => readIndependently(readFileSync(path)))
  expect(rows.map(({ seq }) => Number(seq))).toEqual(countTo(120))
  expect(JSON.parse(String(rows[6]?.['meta']))).toEqual({ n: 7 })
  expect(rows[6]).toMatchObject({ direction: 'sent', client_message_id: 'row-7', body: 'body 7', history_id: null })
  expect(typesOf(readFileSync(objects()[0] ?? ''))).toMatchObject({
    seq: 'Int64?',
    at: 'Timestamp<MILLISECOND, UTC>',
    body: 'Utf8?',
    row_id: 'Utf8',
  })
})

test('texts of every kind are the same for another reader of Parquet', async () => {
  const texts = ['', 'é', '日本', '🙂', '"\\\n\t', '\u0000', 'x'.repeat(70_000)]
  const rows = texts.map((body, index) => ({ ...(sampleRows(1)[0] as HistoryRow), seq: index + 1, body }))
  const found = readIndependently(await parquetWriter.encode(rows))
  expect(found.map(({ body }) => body)).toEqual(texts)
})

/** Whether a put fails before anything is there, or behind it; null: it does not. */
type Fault = 'before' | 'after' | null

/** A destination that fails as a test says. */
class FailingDestination implements BlobDestination {
  readonly #inner: BlobDestination
  readonly #faults: Fault[]

  constructor(inner: BlobDestination, faults: Fault[]) {
    this.#inner = inner
    this.#faults = faults
  }

  async create(key: string, bytes: Uint8Array, signal: AbortSignal): Promise<boolean> {
    const fault = this.#faults.shift() ?? null
    if (fault === 'before') throw new Error('the disk is away')
    const isMade = await this.#inner.create(key, bytes, signal)
    if (fault === 'after') throw new Error('the disk is away')
    return isMade
  }

  read(key: string): Promise<Uint8Array> {
    return this.#inner.read(key)
  }

  list(prefix: string): AsyncIterable<string> {
    return this.#inner.list(prefix)
  }

  close(): void {
    this.#inner.close()
  }
}

interface Setting {
  readonly directory?: string
  readonly limits?: ChunkLimits
}

/** A history, a directory, and a sink between them. */
function exported(writer: BlobWriter, o: Setting = {}) {
  const history = new ExportedHistory()
  const directory = o.directory ?? join(history.directory, 'exports')
  const faults: Fault[] = []
  const open = () => {
    const destination = new FailingDestination(new LocalDirectory(directory), faults)
    return new BlobSink({ writer, destination, ...(o.limits === undefined ? {} : { limits: o.limits }) })
  }
  const objects = () =>
    readdirSync(directory, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .toSorted()
  const numbers = async () => {
    const rows = await Promise.all(objects().map(async (path) => await writer.decode(readFileSync(path))))
    return rows.flat().map(({ meta }) => Number(meta?.['n']))
  }
  const watermark = join(history.stateOf('collector'), 'messages/mesh=home.json')
  return { history, directory, faults, objects, numbers, watermark, sink: history.open(open()) }
}

function digestOf(path: string): string {
  return `${path} ${createHash('sha256').update(readFileSync(path)).digest('hex')}`
}

function sampleRows(count: number): HistoryRow[] {
  return Array.from({ length: count }, (_, index) => ({
    ...rowOf(index + 1, index % 7 === 0 ? { body: null, meta: null } : {}),
    seq: index === 0 ? null : index,
    partition: 'messages/mesh=home',
    row_id: createHash('sha256').update(String(index)).digest('hex'),
  }))
}
