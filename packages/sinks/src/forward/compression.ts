import { promisify } from 'node:util'
import * as zlib from 'node:zlib'

/** How bodies go over the wire, by the name that HTTP has for it. */
export type Compression = 'gzip' | 'zstd'

type Compress = (bytes: Uint8Array) => Promise<Buffer>

const gzip = promisify<Uint8Array, zlib.ZlibOptions, Buffer>(zlib.gzip)
/** Rows repeat themselves so much that the higher levels cost three times as much for a few per cent. */
const gzipLevel = 1

/** Node has zstd from 22.15 on; the types are those of the oldest version that this runs on. */
const zstd = (zlib as { readonly zstdCompress?: typeof zlib.gzip }).zstdCompress

const compressors: Readonly<Record<Compression, Compress | null>> = {
  gzip: (bytes) => gzip(bytes, { level: gzipLevel }),
  zstd: zstd === undefined ? null : promisify<Uint8Array, Buffer>(zstd),
}

/** @returns null when this version of Node does not have it */
export function compressorOf(compression: Compression): Compress | null {
  return compressors[compression]
}
