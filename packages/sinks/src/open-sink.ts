/** The sink that some settings describe. */
import { fileURLToPath } from 'node:url'
import type { BlobDestination } from './blob/blob-destination.ts'
import { BlobSink } from './blob/blob-sink.ts'
import { jsonlWriter } from './blob/jsonl.ts'
import { LocalDirectory } from './blob/local-directory.ts'
import { parquetWriter } from './blob/parquet.ts'
import { S3Bucket } from './blob/s3-bucket.ts'
import { ForwardSink } from './forward/forward-sink.ts'
import type { Runtime } from './runtime.ts'
import { findSettingsFault, type SinkSettings, schemeOf } from './settings.ts'
import type { Sink } from './sink.ts'

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
