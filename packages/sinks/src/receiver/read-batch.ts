/** A batch as it comes over HTTP, within bounds: its id, its body as it was sent, and its rows. */
import type { IncomingMessage } from 'node:http'
import { promisify } from 'node:util'
import * as zlib from 'node:zlib'
import { MeshError } from '@claudemesh/protocol'

export interface ReceivedBatch {
  readonly id: string
  readonly body: Buffer
  readonly rows: readonly string[]
}

const bodyBytesMax = 16 * 1024 * 1024
/** A chunk is 1 MiB, or one row, whose message is at most a few. */
const linesBytesMax = 32 * 1024 * 1024

type Decompress = (bytes: Buffer, options: { readonly maxOutputLength: number }) => Promise<Buffer>

/** Node has zstd from 22.15 on; the types are those of the oldest version that this runs on. */
const zstd = (zlib as { readonly zstdDecompress?: typeof zlib.gunzip }).zstdDecompress

const decompressors: Readonly<Record<string, Decompress | undefined>> = {
  identity: async (bytes) => bytes,
  gzip: promisify(zlib.gunzip) as Decompress,
  zstd: zstd === undefined ? undefined : (promisify(zstd) as Decompress),
}

/** @throws MeshError `invalid_request`, `unsupported_media_type`, `body_too_large` */
export async function readBatch(incoming: IncomingMessage): Promise<ReceivedBatch> {
  const id = incoming.headers['x-batch-id']
  if (typeof id !== 'string' || !/^[0-9a-f]{64}$/.test(id)) {
    throw new MeshError('invalid_request', {
      detail: 'X-Batch-Id is a digest of 64 digits',
      data: { field: 'x-batch-id' },
    })
  }
  const encoding = incoming.headers['content-encoding'] ?? 'identity'
  const decompress = decompressors[encoding]
  if (decompress === undefined) {
    throw new MeshError('unsupported_media_type', { detail: `Content-Encoding ${encoding} is not known here` })
  }
  const body = await readBody(incoming)
  return { id, body, rows: toRows(await unpack(decompress, body)) }
}

async function readBody(incoming: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > bodyBytesMax) throw new MeshError('body_too_large')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

async function unpack(decompress: Decompress, body: Buffer): Promise<Buffer> {
  try {
    return await decompress(body, { maxOutputLength: linesBytesMax })
  } catch (cause) {
    if (cause instanceof RangeError) throw new MeshError('body_too_large', { cause })
    throw new MeshError('invalid_request', { detail: 'The body is not what Content-Encoding says', cause })
  }
}

function toRows(lines: Buffer): readonly string[] {
  const rows = lines.toString('utf8').split('\n')
  if (rows.pop() !== '') throw new MeshError('invalid_request', { detail: 'The last line of the body has no end' })
  for (const row of rows) assertObject(row)
  return rows
}

function assertObject(row: string): void {
  try {
    const value: unknown = JSON.parse(row)
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return
  } catch {
    // Told below, as is what is JSON and no object.
  }
  throw new MeshError('invalid_request', { detail: 'Each line of the body is a JSON object' })
}
