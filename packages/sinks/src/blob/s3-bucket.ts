/**
 * Objects in a bucket of S3, or of what speaks like it. A put says that nothing may be under the key; where a server does not
 * know that condition, it is asked first. The SDK is loaded when a bucket is opened: most daemons export to none.
 */
import { createHash } from 'node:crypto'
import type { S3Client } from '@aws-sdk/client-s3'
import { MeshError } from '@claudemesh/protocol'
import { readSecretReference } from '@claudemesh/storage'
import type { BlobDestination } from './blob-destination.ts'

type Sdk = typeof import('@aws-sdk/client-s3')

export interface S3Options {
  /** Null: that of AWS for the region. */
  readonly endpointUrl: string | null
  readonly region: string
  readonly bucket: string
  /** Without slashes at its ends; empty: the objects are at the top. */
  readonly prefix: string
  readonly accessKeyRef: string
  readonly secretKeyRef: string
  readonly forcePathStyle: boolean
}

const connectMsMax = 10_000
const requestMsMax = 120_000

export class S3Bucket implements BlobDestination {
  readonly #o: S3Options
  #opened: Promise<{ readonly sdk: Sdk; readonly client: S3Client }> | null = null

  constructor(o: S3Options) {
    this.#o = o
  }

  async create(key: string, bytes: Uint8Array, signal: AbortSignal): Promise<boolean> {
    const put = {
      ...this.#named(key),
      Body: bytes,
      ContentLength: bytes.length,
      ChecksumSHA256: createHash('sha256').update(bytes).digest('base64'),
    }
    try {
      await this.#ask(
        (sdk, client, abortSignal) =>
          client.send(new sdk.PutObjectCommand({ ...put, IfNoneMatch: '*' }), { abortSignal }),
        signal,
      )
      return true
    } catch (error) {
      if (statusOf(error) === 412) return false
      if (statusOf(error) !== 501) throw toDestinationError(error, signal)
    }
    if (await this.#has(key, signal)) return false
    await this.#told((sdk, client, abortSignal) => client.send(new sdk.PutObjectCommand(put), { abortSignal }), signal)
    return true
  }

  async read(key: string): Promise<Uint8Array> {
    return await this.#told(async (sdk, client, abortSignal) => {
      const { Body } = await client.send(new sdk.GetObjectCommand(this.#named(key)), { abortSignal })
      return (await Body?.transformToByteArray()) ?? new Uint8Array()
    })
  }

  async *list(prefix: string): AsyncIterable<string> {
    let token: string | undefined
    do {
      const page = await this.#told((sdk, client, abortSignal) => {
        const from = token === undefined ? {} : { ContinuationToken: token }
        const command = new sdk.ListObjectsV2Command({ Bucket: this.#o.bucket, Prefix: this.#full(prefix), ...from })
        return client.send(command, { abortSignal })
      })
      for (const { Key = '' } of page.Contents ?? []) yield Key.slice(this.#full('').length)
      token = page.IsTruncated === true ? page.NextContinuationToken : undefined
    } while (token !== undefined)
  }

  close(): void {
    this.#opened?.then(
      ({ client }) => client.destroy(),
      () => undefined,
    )
  }

  async #has(key: string, signal: AbortSignal): Promise<boolean> {
    try {
      const head = this.#named(key)
      await this.#ask(
        (sdk, client, abortSignal) => client.send(new sdk.HeadObjectCommand(head), { abortSignal }),
        signal,
      )
      return true
    } catch (error) {
      if (statusOf(error) === 404) return false
      throw toDestinationError(error, signal)
    }
  }

  #full(key: string): string {
    return this.#o.prefix === '' ? key : `${this.#o.prefix}/${key}`
  }

  #named(key: string) {
    return { Bucket: this.#o.bucket, Key: this.#full(key) }
  }

  /** As `#ask`, with every failure as this software says it. */
  async #told<T>(send: Send<T>, signal: AbortSignal | null = null): Promise<T> {
    try {
      return await this.#ask(send, signal)
    } catch (error) {
      throw toDestinationError(error, signal)
    }
  }

  async #ask<T>(send: Send<T>, signal: AbortSignal | null = null): Promise<T> {
    const { sdk, client } = await this.#open()
    const patience = AbortSignal.timeout(requestMsMax)
    return await send(sdk, client, signal === null ? patience : AbortSignal.any([signal, patience]))
  }

  #open(): Promise<{ readonly sdk: Sdk; readonly client: S3Client }> {
    this.#opened ??= this.#openNow().catch((error: unknown) => {
      // Secrets that are mounted later are found by the next attempt.
      this.#opened = null
      throw error
    })
    return this.#opened
  }

  async #openNow() {
    const { endpointUrl, region, forcePathStyle, accessKeyRef, secretKeyRef } = this.#o
    const accessKeyId = await readSecretReference(accessKeyRef)
    const secretAccessKey = await readSecretReference(secretKeyRef)
    const sdk = await import('@aws-sdk/client-s3')
    const client = new sdk.S3Client({
      ...(endpointUrl === null ? {} : { endpoint: endpointUrl }),
      ...{ region, forcePathStyle, credentials: { accessKeyId, secretAccessKey } },
      // SHA-256 goes with every object; the CRC that the SDK would add is not known to every server.
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
      requestHandler: { connectionTimeout: connectMsMax },
    })
    return { sdk, client }
  }
}

type Send<T> = (sdk: Sdk, client: S3Client, abortSignal: AbortSignal) => Promise<T>

/** Undefined: there was no answer. */
function statusOf(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('$metadata' in error)) return undefined
  return (error.$metadata as { readonly httpStatusCode?: number }).httpStatusCode
}

/** Answers that do not change by asking again: no right to it, or no such bucket. */
const refusals = new Set([400, 401, 403, 404])

function toDestinationError(error: unknown, signal: AbortSignal | null): unknown {
  signal?.throwIfAborted()
  const status = statusOf(error)
  const name = error instanceof Error ? error.name : 'Unknown'
  if (status === undefined) {
    const reason = error instanceof Error ? error.message : String(error)
    return new MeshError('sink_unavailable', { detail: `The bucket cannot be reached: ${reason}`, cause: error })
  }
  const code = refusals.has(status) ? 'sink_refused' : 'sink_unavailable'
  return new MeshError(code, { detail: `The bucket answered ${status} ${name}`, cause: error })
}
