/**
 * What a sink is made from, and whether its parts go together: the destination says where rows go, the writer in which form.
 *
 *              https://, http://   file:///   s3://
 *     ndjson   yes                 no         no       lines of JSON, posted
 *     jsonl    no                  yes        yes      lines of JSON under gzip, an object each
 *     parquet  no                  yes        yes
 */
import { fileURLToPath } from 'node:url'
import type { BlobDestination } from './blob/blob-destination.ts'
import { BlobSink } from './blob/blob-sink.ts'
import { jsonlWriter } from './blob/jsonl.ts'
import { LocalDirectory } from './blob/local-directory.ts'
import { parquetWriter } from './blob/parquet.ts'
import { S3Bucket } from './blob/s3-bucket.ts'
import { type Compression, compressorOf } from './forward/compression.ts'
import { ForwardSink } from './forward/forward-sink.ts'
import type { Runtime } from './runtime.ts'
import type { Sink } from './sink.ts'

export type WriterName = 'ndjson' | 'jsonl' | 'parquet'

export interface SinkSettings {
  /** `https://…`, `file:///…` or `s3://bucket/prefix` */
  readonly destination: string
  /** Null: ndjson over HTTP, else parquet. */
  readonly writer: WriterName | null
  readonly compression: Compression
  readonly tokenRef: string | null
  readonly signatureKeyRef: string | null
  readonly endpointUrl: string | null
  readonly region: string
  readonly accessKeyRef: string
  readonly secretKeyRef: string
  readonly forcePathStyle: boolean
}

type Scheme = 'http' | 'file' | 's3'

const writersOf: Readonly<Record<Scheme, readonly WriterName[]>> = {
  http: ['ndjson'],
  file: ['parquet', 'jsonl'],
  s3: ['parquet', 'jsonl'],
}

const takes: Readonly<Record<Scheme, string>> = {
  http: 'a receiver over HTTP takes lines as they come',
  file: 'a directory keeps objects',
  s3: 'a bucket keeps objects',
}

/** @returns the sentence that says why no sink can be made of the settings, or null */
export function findSettingsFault({
  destination,
  writer,
  compression,
  tokenRef,
  signatureKeyRef,
}: SinkSettings): string | null {
  const scheme = schemeOf(destination)
  if (scheme === null)
    return `destination ${destination} is none of https://…, http://…, file:///… and s3://bucket/prefix`
  if (writer !== null && !writersOf[scheme].includes(writer)) {
    return `writer "${writer}" does not go with ${destination}: ${takes[scheme]}, so it is one of ${writersOf[scheme].join(', ')}`
  }
  if (scheme !== 'http' && (tokenRef !== null || signatureKeyRef !== null)) {
    return `token_ref and signature_key_ref are for a receiver over HTTP, not for ${destination}`
  }
  if (compressorOf(compression) === null) return `compression "${compression}" needs Node 22.15 or newer; use "gzip"`
  return null
}

/** @throws RangeError when the settings do not go together: `findSettingsFault` says so before */
export function openSink(settings: SinkSettings, runtime: Runtime): Sink {
  const fault = findSettingsFault(settings)
  if (fault !== null) throw new RangeError(fault)
  const { destination, compression, tokenRef, signatureKeyRef } = settings
  if (schemeOf(destination) === 'http') {
    return new ForwardSink({ url: destination, compression, tokenRef, signatureKeyRef, runtime })
  }
  return new BlobSink({
    writer: settings.writer === 'jsonl' ? jsonlWriter : parquetWriter,
    destination: openDestination(settings),
  })
}

function openDestination({ destination, ...o }: SinkSettings): BlobDestination {
  const url = new URL(destination)
  if (url.protocol === 'file:') return new LocalDirectory(fileURLToPath(url))
  return new S3Bucket({ ...o, bucket: url.hostname, prefix: url.pathname.replaceAll(/^\/+|\/+$/g, '') })
}

function schemeOf(destination: string): Scheme | null {
  if (!URL.canParse(destination)) return null
  const { protocol, hostname, pathname } = new URL(destination)
  if ((protocol === 'https:' || protocol === 'http:') && hostname !== '') return 'http'
  if (protocol === 'file:' && hostname === '' && pathname !== '/') return 'file'
  return protocol === 's3:' && hostname !== '' ? 's3' : null
}
