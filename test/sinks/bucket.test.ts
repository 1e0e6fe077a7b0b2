/** 4.9 Rows as objects in a bucket of a real S3 server: what a directory promises, a bucket does too, also when the server goes away. */
import { createHash, randomBytes } from 'node:crypto'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { BlobSink, parquetWriter, S3Bucket, type S3Options } from '../../packages/sinks/src/index.ts'
import { hasS3Server, type S3Server, useS3Server } from '../artifacts/s3-server.ts'
import { messages } from '../history/history-under-test.ts'
import { countTo } from '../support/batch-receiver.ts'
import { readIndependently } from '../support/parquet-reader.ts'
import { scratchDirectory } from '../support/scratch-directory.ts'
import { ExportedHistory } from './exported-history.ts'

const server = useS3Server()
const patience = () => AbortSignal.timeout(60_000)

describe.skipIf(!hasS3Server)('a bucket', { timeout: 120_000 }, () => {
  test('keeps what is under a key: another put is told so, and changes nothing', async () => {
    const bucket = open(placeOf(server()))
    const first = Buffer.from('first')
    expect(await bucket.create('messages/mesh=home/a', first, patience())).toBe(true)
    expect(await bucket.create('messages/mesh=home/a', Buffer.from('other'), patience())).toBe(false)
    expect(Buffer.from(await bucket.read('messages/mesh=home/a'))).toEqual(first)
    await bucket.create('messages/mesh=other/b', first, patience())
    expect(await keysOf(bucket, 'messages/mesh=home/')).toEqual(['messages/mesh=home/a'])
  })

  test('4.5 has each row once when the advance behind a put was lost: the same bytes under the same key', async () => {
    const place = placeOf(server())
    const history = new ExportedHistory()
    const before = history.open(new BlobSink({ writer: parquetWriter, destination: new Interrupted(place) }))
    history.add(100)
    expect((await before.run()).error).toContain('the answer is lost')
    await before.close()
    const bucket = open(place)
    const digests = await digestsOf(bucket)
    expect(digests).toHaveLength(1)
    history.add(50)
    const after = history.open(new BlobSink({ writer: parquetWriter, destination: bucket }))
    expect((await after.run()).error).toBe(null)
    expect((await digestsOf(bucket)).slice(0, 1)).toEqual(digests)
    expect(await numbersIn(bucket)).toEqual(countTo(150))
  })

  test('4.5 says how far it has a partition when the watermark is gone', async () => {
    const bucket = open(placeOf(server()))
    const history = new ExportedHistory()
    const sink = history.open(new BlobSink({ writer: parquetWriter, destination: bucket }))
    history.add(30)
    await sink.run()
    rmSync(join(history.stateOf('collector'), 'messages/mesh=home.json'))
    await expect(sink.run()).rejects.toMatchObject({ code: 'sink_stopped' })
    expect(await sink.reset(messages, 'from-destination')).toBe(30)
    history.add(5)
    await sink.run()
    expect(await numbersIn(bucket)).toEqual(countTo(35))
  })

  test('of another exporter is not written into', async () => {
    const place = placeOf(server())
    for (const [body, error] of [
      ['of one', null],
      ['of the other', 'there is another'],
    ] as const) {
      const history = new ExportedHistory()
      const sink = history.open(new BlobSink({ writer: parquetWriter, destination: open(place) }))
      history.add(10, body)
      const run = await sink.run()
      if (error === null) expect(run.error).toBe(null)
      else expect(run.error).toContain(error)
    }
  })

  test('that refuses, or is not there, is told of; when its server is back each row is there once', async () => {
    const place = placeOf(server())
    const history = new ExportedHistory()
    history.add(20)
    const elsewhere: readonly (readonly [Partial<S3Options>, string])[] = [
      [{ bucket: 'nowhere' }, 'sink_refused'],
      [{ secretKeyRef: place.accessKeyRef }, 'sink_refused'],
      [{ endpointUrl: 'http://127.0.0.1:1' }, 'sink_unavailable'],
    ]
    for (const [changed, code] of elsewhere) {
      const refused = open({ ...place, ...changed }).create('a', Buffer.from('a'), patience())
      await expect(refused).rejects.toMatchObject({ code })
    }
    const bucket = open(place)
    const sink = history.open(new BlobSink({ writer: parquetWriter, destination: bucket }))
    const { swift } = server()
    if (swift !== null) {
      await swift.killProxy()
      expect((await sink.run()).error).toContain('The bucket cannot be reached')
      expect((await sink.status()).partitions[0]).toMatchObject({ acked: 0, failures: 1, isShipping: true })
      await swift.startProxy()
    }
    history.add(20)
    expect((await sink.run()).error).toBe(null)
    expect(await numbersIn(bucket)).toEqual(countTo(40))
  })
})

/** A bucket whose first answer to a put is lost. */
class Interrupted extends S3Bucket {
  override async create(key: string, bytes: Uint8Array, signal: AbortSignal): Promise<boolean> {
    await super.create(key, bytes, signal)
    throw new Error('the answer is lost')
  }
}

/** A prefix of its own, in which nothing is yet. */
function placeOf({ endpointUrl, bucket, keys }: S3Server): S3Options {
  const directory = scratchDirectory()
  const referTo = (name: string, value: string) => {
    writeFileSync(join(directory, name), `${value}\n`)
    return `file:${join(directory, name)}`
  }
  return {
    ...{ endpointUrl, bucket, region: 'us-east-1', forcePathStyle: true },
    prefix: `sinks/${randomBytes(8).toString('hex')}`,
    accessKeyRef: referTo('access', keys.access),
    secretKeyRef: referTo('secret', keys.secret),
  }
}

function open(place: S3Options): S3Bucket {
  const bucket = new S3Bucket(place)
  onTestFinished(() => bucket.close())
  return bucket
}

async function keysOf(bucket: S3Bucket, prefix = 'messages/'): Promise<string[]> {
  const keys: string[] = []
  for await (const key of bucket.list(prefix)) keys.push(key)
  return keys.toSorted()
}

async function digestsOf(bucket: S3Bucket): Promise<string[]> {
  const digest = async (key: string) =>
    createHash('sha256')
      .update(await bucket.read(key))
      .digest('hex')
  return await Promise.all((await keysOf(bucket)).map(async (key) => `${key} ${await digest(key)}`))
}

async function numbersIn(bucket: S3Bucket): Promise<number[]> {
  const objects = await Promise.all((await keysOf(bucket)).map((key) => bucket.read(key)))
  return objects
    .flatMap((bytes) => readIndependently(Buffer.from(bytes)))
    .map((row) => JSON.parse(String(row['meta'])).n)
}
