/**
 * The S3 server that the tests talk to: one that the environment names by CLAUDEMESH_TEST_S3_ENDPOINT, …_BUCKET,
 * …_ACCESS_KEY and …_SECRET_KEY, else a Swift that is started here, where it is installed.
 */
import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3'
import { S3Backend, type S3BackendOptions, type S3Config } from '@claudemesh/artifacts'
import { createIdSource } from '@claudemesh/protocol'
import { afterAll, beforeAll, onTestFinished } from 'vitest'
import { scratchDirectory } from '../support/scratch-directory.ts'
import { hasSwift, Swift, swiftKeys } from '../support/swift.ts'

const given = process.env['CLAUDEMESH_TEST_S3_ENDPOINT']

export const hasS3Server = given !== undefined || hasSwift

export interface S3Server {
  readonly endpointUrl: string
  readonly bucket: string
  readonly keys: { readonly access: string; readonly secret: string }
  /** Null: it is another's, which tests neither stop nor look into. */
  readonly swift: Swift | null
}

async function startS3Server(): Promise<S3Server> {
  const bucket = process.env['CLAUDEMESH_TEST_S3_BUCKET'] ?? 'artifacts'
  if (given !== undefined) {
    const access = process.env['CLAUDEMESH_TEST_S3_ACCESS_KEY'] ?? ''
    const secret = process.env['CLAUDEMESH_TEST_S3_SECRET_KEY'] ?? ''
    return { endpointUrl: given, bucket, keys: { access, secret }, swift: null }
  }
  const swift = await Swift.start()
  try {
    await createBucket(swift, bucket)
  } catch (error) {
    await swift.stop()
    throw error
  }
  return { endpointUrl: swift.url, bucket, keys: swiftKeys, swift }
}

async function createBucket(swift: Swift, bucket: string): Promise<void> {
  const credentials = { accessKeyId: swiftKeys.access, secretAccessKey: swiftKeys.secret }
  const client = new S3Client({ endpoint: swift.url, region: 'us-east-1', forcePathStyle: true, credentials })
  await client.send(new CreateBucketCommand({ Bucket: bucket }))
  client.destroy()
}

/** What nobody answers at: for what is refused before anybody is asked. */
export const noServer: S3Server = {
  endpointUrl: 'http://127.0.0.1:1',
  bucket: 'none',
  keys: { access: 'a', secret: 'b' },
  swift: null,
}

/** Four interpreters and a cache have to come up, on a machine that may be busy. */
const startMsMax = 240_000

/** One server for the tests of a file, where there is one. @returns how they get at it */
export function useS3Server(): () => S3Server {
  let starting: Promise<S3Server> | null = null
  let started: S3Server | null = null
  beforeAll(async () => {
    if (!hasS3Server) return
    starting = startS3Server()
    started = await starting
  }, startMsMax)
  // Also when it came up too late for the tests.
  afterAll(async () => {
    await (await starting)?.swift?.stop()
  }, startMsMax)
  return () => {
    if (started === null) throw new Error('no server was started')
    return started
  }
}

const nextId = createIdSource(Date.now)

export interface OpenedS3 {
  readonly backend: S3Backend
  readonly spoolRoot: string
  /** Below which all of its objects are. */
  readonly keyPrefix: string
}

/** The settings of a bucket for one test: a prefix of its own, in which nothing is yet, and keys in files. */
export function s3Config(server: S3Server): S3Config {
  const directory = scratchDirectory()
  const referTo = (name: string, value: string) => {
    writeFileSync(join(directory, name), `${value}\n`)
    return `file:${join(directory, name)}`
  }
  return {
    endpointUrl: server.endpointUrl,
    region: 'us-east-1',
    bucket: server.bucket,
    keyPrefix: `test/${randomBytes(8).toString('hex')}`,
    accessKeyRef: referTo('access', server.keys.access),
    secretKeyRef: referTo('secret', server.keys.secret),
    storageClass: null,
    sse: null,
    forcePathStyle: true,
    multipartThresholdBytes: 8 * 1024 * 1024,
    multipartChunkBytes: 8 * 1024 * 1024,
  }
}

/** A backend over a prefix of its own, in which nothing is yet. */
export async function openS3Backend(server: S3Server, change: Partial<S3BackendOptions> = {}): Promise<OpenedS3> {
  const spoolRoot = join(scratchDirectory(), 'spool')
  const own = { backendId: 's3', spoolRoot, now: Date.now, nextId }
  const options: S3BackendOptions = { ...s3Config(server), ...own, ...change }
  const backend = await S3Backend.open(options)
  onTestFinished(() => backend.close())
  return { backend, spoolRoot: options.spoolRoot, keyPrefix: options.keyPrefix }
}
