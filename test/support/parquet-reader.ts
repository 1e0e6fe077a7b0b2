/** Parquet as another implementation reads it: that of Apache Arrow in Rust. */
import { tableFromIPC } from 'apache-arrow'
import { readParquet } from 'parquet-wasm'

/** The rows of a file, with its own names and values of columns. */
export function readIndependently(bytes: Uint8Array): Record<string, unknown>[] {
  return tableFromIPC(readParquet(bytes).intoIPCStream())
    .toArray()
    .map((row) => row.toJSON())
}

/** Column to its type. */
export function typesOf(bytes: Uint8Array): Record<string, string> {
  const { fields } = tableFromIPC(readParquet(bytes).intoIPCStream()).schema
  return Object.fromEntries(fields.map(({ name, type, nullable }) => [name, `${type}${nullable ? '?' : ''}`]))
}
