/**
 * The operations of a bucket that the backend uses, each with its time limit and its errors turned into ours. The SDK is
 * loaded when a bucket is opened: most stores have none.
 */
import { createHash } from 'node:crypto'
import type { CompletedPart, S3Client, ServerSideEncryption, StorageClass } from '@aws-sdk/client-s3'
import { ArtifactError } from '../../../artifact-error.ts'
import type { ObjectHead } from '../../spi.ts'
import { toS3Error } from './s3-error.ts'

type Sdk = typeof import('@aws-sdk/client-s3')

/** Where objects are kept, by the names of `[artifacts.s3]` (06 §8). */
export interface BucketOptions {
  /** Null: that of AWS for the region. */
  readonly endpointUrl: string | null
  readonly region: string
  readonly bucket: string
  /** Without slashes at its ends; empty: the objects are at the top. */
  readonly keyPrefix: string
  readonly storageClass: string | null
  readonly sse: 'AES256' | 'aws:kms' | null
  readonly forcePathStyle: boolean
}

interface Credentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
}

/** How long one request may take, the bytes of an answer not counted. A part of 8 MiB fits in at 0.6 Mbit/s. */
const requestMsMax = 120_000
const connectMsMax = 10_000

/** What a server gives of an object. */
export interface ObjectBody {
  /** Bytes of `body`. */
  readonly size: number
  /** Fails when it ends before its size. */
  readonly body: AsyncIterable<Uint8Array>
}

export interface ListedKey extends ObjectHead {
  /** Without the prefix. */
  readonly key: string
}

export class Bucket {
  readonly #sdk: Sdk
  readonly #client: S3Client
  readonly #o: BucketOptions

  /** Contacts nobody. */
  static async open(o: BucketOptions, credentials: Credentials): Promise<Bucket> {
    return new Bucket(await import('@aws-sdk/client-s3'), o, credentials)
  }

  private constructor(sdk: Sdk, o: BucketOptions, credentials: Credentials) {
    this.#sdk = sdk
    this.#o = o
    this.#client = new sdk.S3Client({
      ...(o.endpointUrl === null ? {} : { endpoint: o.endpointUrl }),
      region: o.region,
      forcePathStyle: o.forcePathStyle,
      credentials,
      // We send SHA-256 with every object; the CRC that the SDK would add is not known to every server.
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
      requestHandler: { connectionTimeout: connectMsMax },
    })
  }

  close(): void {
    this.#client.destroy()
  }

  /** @throws ArtifactError `object_not_found`, `backend_unavailable` */
  async head(key: string): Promise<ObjectHead> {
    const command = new this.#sdk.HeadObjectCommand(this.#named(key))
    const { ContentLength, LastModified } = await this.#ask((abortSignal) =>
      this.#client.send(command, { abortSignal }),
    )
    return { size: sizeOf(ContentLength), storedAt: LastModified?.getTime() ?? 0 }
  }

  /** @param range first and last byte @throws ArtifactError `object_not_found`, `backend_unavailable` */
  async get(key: string, range: readonly [number, number] | null): Promise<ObjectBody> {
    const Range = range === null ? {} : { Range: `bytes=${range[0]}-${range[1]}` }
    const command = new this.#sdk.GetObjectCommand({ ...this.#named(key), ...Range })
    const { Body, ContentLength } = await this.#ask((abortSignal) => this.#client.send(command, { abortSignal }))
    const size = sizeOf(ContentLength)
    // In Node the body is a stream, which the SDK types for browsers too.
    return { size, body: readBody(Body as unknown as AsyncIterable<Uint8Array>, size) }
  }

  /** @throws ArtifactError `insufficient_storage`, `backend_unavailable` */
  async put(key: string, body: Uint8Array): Promise<void> {
    const command = new this.#sdk.PutObjectCommand({
      ...this.#named(key),
      ...this.#kept(),
      Body: body,
      ContentLength: body.length,
      ChecksumSHA256: sha256(body),
    })
    await this.#ask((abortSignal) => this.#client.send(command, { abortSignal }))
  }

  /** @throws ArtifactError `backend_unavailable`. A key that is not there is deleted too. */
  async delete(key: string): Promise<void> {
    const command = new this.#sdk.DeleteObjectCommand(this.#named(key))
    await this.#ask((abortSignal) => this.#client.send(command, { abortSignal }))
  }

  /** Keys that begin so, in order, those after `after`. @throws ArtifactError `backend_unavailable` */
  async *list(o: { readonly prefix: string; readonly after: string | null }): AsyncIterable<ListedKey> {
    let token: string | undefined
    do {
      const command = new this.#sdk.ListObjectsV2Command({
        Bucket: this.#o.bucket,
        Prefix: this.#full(o.prefix),
        ...(o.after === null ? {} : { StartAfter: this.#full(o.after) }),
        ...(token === undefined ? {} : { ContinuationToken: token }),
      })
      const page = await this.#ask((abortSignal) => this.#client.send(command, { abortSignal }))
      for (const { Key = '', Size, LastModified } of page.Contents ?? []) {
        yield { key: Key.slice(this.#full('').length), size: sizeOf(Size), storedAt: LastModified?.getTime() ?? 0 }
      }
      token = page.IsTruncated === true ? page.NextContinuationToken : undefined
    } while (token !== undefined)
  }

  /** @returns the id of an upload in parts @throws as `put` */
  async beginUpload(key: string): Promise<string> {
    const command = new this.#sdk.CreateMultipartUploadCommand({
      ...this.#named(key),
      ...this.#kept(),
      ChecksumAlgorithm: 'SHA256',
    })
    const { UploadId } = await this.#ask((abortSignal) => this.#client.send(command, { abortSignal }))
    if (UploadId === undefined) throw new ArtifactError('backend_unavailable', { detail: 'An upload got no id.' })
    return UploadId
  }

  /** @param part its number, counted from 1 @throws as `put` */
  async uploadPart(
    key: string,
    part: { readonly uploadId: string; readonly number: number; readonly body: Uint8Array },
  ): Promise<CompletedPart> {
    const command = new this.#sdk.UploadPartCommand({
      ...this.#named(key),
      UploadId: part.uploadId,
      PartNumber: part.number,
      Body: part.body,
      ContentLength: part.body.length,
      ChecksumSHA256: sha256(part.body),
    })
    const answer = await this.#ask((abortSignal) => this.#client.send(command, { abortSignal }))
    // Said again at the end only to a server that has taken note of it: others refuse what they do not know.
    const { ETag, ChecksumSHA256 } = answer
    return {
      PartNumber: part.number,
      ...(ETag === undefined ? {} : { ETag }),
      ...(ChecksumSHA256 === undefined ? {} : { ChecksumSHA256 }),
    }
  }

  /** @throws as `put` */
  async completeUpload(key: string, uploadId: string, parts: readonly CompletedPart[]): Promise<void> {
    const command = new this.#sdk.CompleteMultipartUploadCommand({
      ...this.#named(key),
      UploadId: uploadId,
      MultipartUpload: { Parts: [...parts] },
    })
    await this.#ask((abortSignal) => this.#client.send(command, { abortSignal }))
  }

  /** @throws ArtifactError `backend_unavailable` */
  async abortUpload(key: string, uploadId: string): Promise<void> {
    const command = new this.#sdk.AbortMultipartUploadCommand({ ...this.#named(key), UploadId: uploadId })
    await this.#ask((abortSignal) => this.#client.send(command, { abortSignal }))
  }

  #full(key: string): string {
    return this.#o.keyPrefix === '' ? key : `${this.#o.keyPrefix}/${key}`
  }

  #named(key: string) {
    return { Bucket: this.#o.bucket, Key: this.#full(key) }
  }

  /** How a new object is kept. */
  #kept() {
    const { storageClass, sse } = this.#o
    return {
      ...(storageClass === null ? {} : { StorageClass: storageClass as StorageClass }),
      ...(sse === null ? {} : { ServerSideEncryption: sse as ServerSideEncryption }),
    }
  }

  async #ask<T>(send: (abortSignal: AbortSignal) => Promise<T>): Promise<T> {
    // Ended by hand and not by AbortSignal.timeout: the signal would end a body too, which its reader may take long for.
    const controller = new AbortController()
    const timer = setTimeout(() => controller.abort(), requestMsMax)
    try {
      return await send(controller.signal)
    } catch (error) {
      throw toS3Error(error)
    } finally {
      clearTimeout(timer)
    }
  }
}

async function* readBody(body: AsyncIterable<Uint8Array>, sizeBytes: number): AsyncIterable<Uint8Array> {
  let read = 0
  try {
    for await (const chunk of body) {
      read += chunk.length
      yield chunk
    }
  } catch (error) {
    throw toS3Error(error)
  }
  if (read !== sizeBytes) throw new ArtifactError('object_corrupt', { detail: 'The object ended before its size.' })
}

function sizeOf(length: number | undefined): number {
  if (length !== undefined) return length
  throw new ArtifactError('backend_unavailable', { detail: 'The object store told no size of an object.' })
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('base64')
}
