/** Rows as lines of JSON under gzip. */
import { promisify } from 'node:util'
import { gunzip, gzip } from 'node:zlib'
import { encodeRows } from '../row-lines.ts'
import type { BlobWriter } from './blob-writer.ts'

const compress = promisify(gzip)
const decompress = promisify(gunzip)

/** The byte of the header that names the operating system, and its value for none in particular. */
const systemByte = { offset: 9, unknown: 255 }

export const jsonlWriter: BlobWriter = {
  extension: 'jsonl.gz',

  async encode(rows) {
    const bytes = await compress(encodeRows(rows))
    bytes[systemByte.offset] = systemByte.unknown
    return bytes
  },

  async decode(bytes) {
    const lines = (await decompress(bytes)).toString('utf8').split('\n')
    return lines.filter((line) => line !== '').map((line) => JSON.parse(line))
  },
}
