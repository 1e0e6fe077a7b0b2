/** 4.9 Several sinks of one history, and what an operator does with them. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import {
  BlobSink,
  ForwardSink,
  findSettingsFault,
  LocalDirectory,
  openSink,
  parquetWriter,
  type SinkSettings,
  systemRuntime,
} from '../../packages/sinks/src/index.ts'
import { keepAll, messages } from '../history/history-under-test.ts'
import { BatchReceiver, countTo } from '../support/batch-receiver.ts'
import { canMount, mountSmallDisk } from '../support/small-disk.ts'
import { ExportedHistory } from './exported-history.ts'

describe('4.9', () => {
  test('two sinks at different speeds have each row once, and retention waits for the slower one', async () => {
    const history = new ExportedHistory()
    const [fast, slow] = [await BatchReceiver.start(), await BatchReceiver.start()]
    const sinks = { fast: history.open(forward(history, fast), { name: 'fast' }) }
    const late = history.open(forward(history, slow), { name: 'slow' })
    history.add(50)
    await late.run()
    for (let round = 0; round < 3; round += 1) {
      history.add(100)
      await sinks.fast.run()
      expect(await history.prune({ ...keepAll, ageMsMax: 0 }), 'what both have').toBe(round === 0 ? 50 : 0)
    }
    expect(await late.run()).toMatchObject({ rows: 300, lost: 0 })
    expect(fast.numbers()).toEqual(countTo(350))
    expect(slow.numbers()).toEqual(countTo(350))
  })

  test('a sink that is added later exports the backlog once', async () => {
    const history = new ExportedHistory()
    history.add(2500)
    await history.compact()
    const receiver = await BatchReceiver.start()
    const sink = history.open(forward(history, receiver))
    await sink.run()
    await sink.run()
    expect(receiver.numbers()).toEqual(countTo(2500))
    expect(receiver.counts().repeats).toBe(0)
  })

  test('a sink under another name is another sink: it begins at the start, under ids of its own', async () => {
    const history = new ExportedHistory()
    history.add(10)
    const receiver = await BatchReceiver.start()
    const former = history.open(forward(history, receiver), { name: 'former' })
    await former.run()
    await former.close()
    const renamed = history.open(forward(history, receiver), { name: 'renamed' })
    await renamed.run()
    expect(receiver.counts()).toEqual({ batches: 2, rows: 20, repeats: 0 })
    history.history.keepSinks(['renamed'])
    history.add(1)
    await renamed.run()
    expect(await history.prune({ ...keepAll, ageMsMax: 0 }), 'nothing waits for the former').toBe(11)
  })

  test('rows of a batch that went while the sink was not configured are counted as lost', async () => {
    const history = new ExportedHistory()
    const receiver = await BatchReceiver.start()
    const before = history.open(forward(history, receiver))
    history.add(10)
    receiver.faults.push({ status: 500 })
    await before.run()
    await before.close()
    history.history.keepSinks([])
    expect(await history.prune({ ...keepAll, ageMsMax: 0 })).toBe(10)
    const back = history.open(forward(history, receiver))
    history.add(3)
    expect(await back.run()).toMatchObject({ rows: 3, lost: 10 })
    expect(receiver.numbers()).toEqual(countTo(13, 11))
  })

  test('a reset ends what is on its way, and goes on where it was told', async () => {
    const history = new ExportedHistory()
    const receiver = await BatchReceiver.start()
    const sink = history.open(forward(history, receiver))
    history.add(20)
    receiver.faults.push({ status: 500 })
    await sink.run()
    await sink.reset(messages, 15)
    await sink.run()
    expect(receiver.numbers()).toEqual(countTo(20, 16))
  })

  test('what is paused runs on request alone, also after a restart', async () => {
    const history = new ExportedHistory()
    const receiver = await BatchReceiver.start()
    const sink = history.open(forward(history, receiver))
    await sink.pause()
    await sink.close()
    const later = history.open(forward(history, receiver))
    expect((await later.status()).phase).toBe('paused')
    history.add(1)
    await later.run()
    expect(receiver.counts().rows).toBe(1)
  })

  for (const place of ['sinks/collector', 'exports'] as const) {
    test.skipIf(!canMount)(
      `a disk that is full under ${place} stops nothing for good, and each row is there once`,
      async () => {
        const history = new ExportedHistory()
        const disk = mountSmallDisk(join(history.directory, place), 512 * 1024)
        onTestFinished(() => disk.unmount())
        const exports = join(history.directory, 'exports')
        const sink = history.open(new BlobSink({ writer: parquetWriter, destination: new LocalDirectory(exports) }))
        history.add(200)
        await sink.run()
        disk.fill(0)
        history.add(2000)
        expect((await sink.run()).error).toContain('full')
        const objects = () =>
          readdirSync(exports, { recursive: true, withFileTypes: true })
            .filter((entry) => entry.isFile() && entry.name !== 'ballast')
            .map((entry) => join(entry.parentPath, entry.name))
            .toSorted()
        expect(objects().filter((path) => path.endsWith('.tmp'))).toEqual([])
        disk.empty()
        expect((await sink.run()).error).toBe(null)
        const rows = await Promise.all(objects().map((path) => parquetWriter.decode(readFileSync(path))))
        expect(rows.flat().map(({ meta }) => meta?.['n'])).toEqual(countTo(2200))
      },
    )
  }
})

describe('settings', () => {
  const plain: SinkSettings = {
    ...{ destination: 'https://collect.example.org', writer: null, compression: 'gzip', tokenRef: null },
    ...{ signatureKeyRef: null, endpointUrl: null, region: 'us-east-1', accessKeyRef: 'env:A', secretKeyRef: 'env:B' },
    forcePathStyle: false,
  }
  const rows: readonly { readonly settings: Partial<SinkSettings>; readonly fault: string | null }[] = [
    { settings: {}, fault: null },
    { settings: { writer: 'ndjson', tokenRef: 'env:T' }, fault: null },
    { settings: { writer: 'parquet' }, fault: 'it is one of ndjson' },
    { settings: { destination: 'file:///srv/exports' }, fault: null },
    { settings: { destination: 'file:///srv/exports', writer: 'jsonl' }, fault: null },
    { settings: { destination: 'file:///srv/exports', writer: 'ndjson' }, fault: 'one of parquet, jsonl' },
    { settings: { destination: 's3://bucket/some/prefix', writer: 'jsonl' }, fault: null },
    { settings: { destination: 's3://bucket', tokenRef: 'env:T' }, fault: 'for a receiver over HTTP' },
    { settings: { destination: 'ftp://host/x' }, fault: 'is none of https://' },
    { settings: { destination: 'srv/exports' }, fault: 'is none of https://' },
    { settings: { destination: 'file://host/x' }, fault: 'is none of https://' },
  ]
  for (const { settings, fault } of rows) {
    test(`${JSON.stringify(settings)} ${fault === null ? 'make a sink' : 'make none'}`, async () => {
      const all = { ...plain, ...settings }
      if (fault === null) {
        expect(findSettingsFault(all)).toBe(null)
        await openSink(all, systemRuntime()).close()
      } else {
        expect(findSettingsFault(all)).toContain(fault)
        expect(() => openSink(all, systemRuntime())).toThrow(fault)
      }
    })
  }
})

test('what was exported as objects is read back in order, each row once, whatever was reset', async () => {
  const history = new ExportedHistory()
  const blob = new BlobSink({
    writer: parquetWriter,
    destination: new LocalDirectory(join(history.directory, 'exports')),
    limits: { rowsMax: 40, bytesMax: 1 << 20, chunksMax: 4 },
  })
  const sink = history.open(blob)
  history.add(100)
  await sink.run()
  await sink.reset(messages, 50)
  history.add(30)
  await sink.run()
  const read = async (since: number, until: number) => {
    const found = []
    for await (const { seq } of blob.readRows(messages, { since, until })) found.push(seq)
    return found
  }
  expect(await read(0, 1000)).toEqual(countTo(130))
  expect(await read(45, 95)).toEqual(countTo(95, 46))
})

function forward(history: ExportedHistory, receiver: BatchReceiver): ForwardSink {
  const plain = { compression: 'gzip' as const, tokenRef: null, signatureKeyRef: null }
  return new ForwardSink({ url: receiver.url, ...plain, runtime: history.time })
}
