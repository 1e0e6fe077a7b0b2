/** What the database says of the files of relayed blobs, in the same text for every engine. */
import type { Schema } from '../tables.ts'

export interface KeptObject {
  readonly address: string
  readonly sizeBytes: number
}

/** The rows that files are compared with. */
export interface BlobRows {
  /** What names the place of the bytes; null: no broker has relayed over this database. */
  readPlace(): Promise<string | null>
  /** Objects that blobs are stored as, in order, those after an address. */
  listKept(after: string, rowsMax: number): Promise<readonly KeptObject[]>
  /** Whether a blob is stored as an object still. */
  isKept(address: string): Promise<boolean>
  /** Whether the database knows of an object, be it that it is being published or deleted. */
  isKnown(address: string): Promise<boolean>
}

export function blobRows(o: {
  readonly schema: Schema
  readonly placeholder: (n: number) => string
  readonly query: (
    text: string,
    values: readonly (string | number)[],
  ) => Promise<readonly Readonly<Record<string, string | number>>[]>
}): BlobRows {
  const { schema, placeholder, query } = o
  const selectPlace = `SELECT place FROM ${schema}.relay WHERE id = 1`
  const selectKept = `
    SELECT b.address, min(b.size_bytes) AS size_bytes FROM ${schema}.blob b
     WHERE b.state = 'stored' AND b.address > ${placeholder(1)}
     GROUP BY b.address ORDER BY b.address LIMIT ${placeholder(2)}`
  const selectStored = `
    SELECT address FROM ${schema}.blob WHERE state = 'stored' AND address = ${placeholder(1)} LIMIT 1`
  const selectObject = `SELECT address FROM ${schema}.blob_object WHERE address = ${placeholder(1)}`
  return {
    readPlace: async () => String((await query(selectPlace, []))[0]?.['place'] ?? '') || null,
    listKept: async (after, rowsMax) =>
      (await query(selectKept, [after, rowsMax])).map((row) => ({
        address: String(row['address']),
        sizeBytes: Number(row['size_bytes']),
      })),
    isKept: async (address) => (await query(selectStored, [address])).length > 0,
    isKnown: async (address) => (await query(selectObject, [address])).length > 0,
  }
}
