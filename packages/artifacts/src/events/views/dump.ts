/**
 * All views as bytes (06 §7): per table the canonical CBOR of its name and columns, then one array per row. Equal logs give
 * equal bytes, on every engine.
 */
import { encodeCanonical } from '../../canon/cbor.ts'
import type { Session } from '../../db/spi.ts'
import { getAlgorithm } from '../../identity/algorithms.ts'
import { type ContentAddress, formatContentAddress, makeDigest } from '../../identity/content-address.ts'
import { pageRows } from './statements.ts'
import { viewTables } from './tables.ts'

const rowsMax = 500

/** The views of a snapshot, item by item. Memory is bounded by a page of rows. */
export async function* dumpSession(session: Session): AsyncGenerator<Uint8Array> {
  for (const table of viewTables) {
    const names = table.columns.map(({ name }) => name)
    yield encodeCanonical([table.name, names])
    const keys = table.key.map((name) => names.indexOf(name))
    for (let after: readonly string[] | null = null; ; ) {
      const rows = await pageRows(session, table, { after, rowsMax })
      for (const row of rows) yield encodeCanonical(row)
      const last = rows.at(-1)
      if (last === undefined || rows.length < rowsMax) break
      after = keys.map((index) => String(last[index]))
      await turn()
    }
  }
}

/** The BLAKE3 of a dump. */
export async function digestDump(dump: AsyncIterable<Uint8Array>): Promise<ContentAddress> {
  const hasher = getAlgorithm('blake3').create()
  for await (const item of dump) hasher.update(item)
  return formatContentAddress(makeDigest('blake3', Buffer.from(hasher.digest()).toString('hex')))
}

/** Lets others have their turn: the statements of SQLite leave none by themselves. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
