/**
 * What a sink is made from, and whether its parts go together: the destination says where rows go, the writer in which form.
 *
 *              https://, http://   file:///   s3://
 *     ndjson   yes                 no         no       lines of JSON, posted
 *     jsonl    no                  yes        yes      lines of JSON under gzip, an object each
 *     parquet  no                  yes        yes
 */
import { type Compression, compressorOf } from './forward/compression.ts'

export { parseSchedule } from './driver/schedule.ts'

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

/** @returns null when it is none that a sink can go to */
export function schemeOf(destination: string): Scheme | null {
  if (!URL.canParse(destination)) return null
  const { protocol, hostname, pathname } = new URL(destination)
  if ((protocol === 'https:' || protocol === 'http:') && hostname !== '') return 'http'
  if (protocol === 'file:' && hostname === '' && pathname !== '/') return 'file'
  return protocol === 's3:' && hostname !== '' ? 's3' : null
}
