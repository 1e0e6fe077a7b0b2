/** Rows as Parquet: one schema for every dataset, columns that any reader of Parquet has types for. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { HistoryRow } from '@claudemesh/protocol'
import { parquetReadObjects } from 'hyparquet'
import { ByteWriter, type ColumnSource, parquetWrite } from 'hyparquet-writer'
import type { BlobWriter } from './blob-writer.ts'

interface Column {
  readonly name: keyof HistoryRow
  readonly type: 'INT64' | 'TIMESTAMP' | 'STRING'
  readonly nullable: boolean
  /** Where a row has the value in another form than the column. */
  readonly form?: Form
}

interface Form {
  readonly write: (value: never) => unknown
  readonly read: (value: never) => unknown
}

const count: Form = { write: (value: number) => BigInt(value), read: (value: bigint) => Number(value) }
const time: Form = { write: (value: number) => new Date(value), read: (value: Date) => value.getTime() }
const json: Form = { write: (value: object) => JSON.stringify(value), read: (value: string) => JSON.parse(value) }

const columns: readonly Column[] = [
  { name: 'seq', type: 'INT64', nullable: true, form: count },
  { name: 'partition', type: 'STRING', nullable: false },
  { name: 'direction', type: 'STRING', nullable: false },
  { name: 'mesh', type: 'STRING', nullable: false },
  { name: 'at', type: 'TIMESTAMP', nullable: false, form: time },
  { name: 'sender', type: 'STRING', nullable: true },
  { name: 'destination', type: 'STRING', nullable: true },
  { name: 'client_message_id', type: 'STRING', nullable: true },
  { name: 'broker_message_id', type: 'STRING', nullable: true },
  { name: 'history_id', type: 'STRING', nullable: true },
  { name: 'body', type: 'STRING', nullable: true },
  { name: 'meta', type: 'STRING', nullable: true, form: json },
  { name: 'state', type: 'STRING', nullable: false },
  { name: 'row_id', type: 'STRING', nullable: false },
]

/** Rows that are written in one turn of the event loop: others have theirs in between. */
const rowGroupSize = 2000
const schemaName = { key: 'claudemesh.schema', value: 'history-row/1' }

export const parquetWriter: BlobWriter = {
  extension: 'parquet',

  async encode(rows) {
    const columnData = columns.map(({ name, type, nullable, form }): ColumnSource => {
      const values = rows.map((row) => row[name])
      return {
        name,
        type,
        nullable,
        data: form === undefined ? values : values.map((value) => convert(form.write, value)),
      }
    })
    const writer = new PausingWriter()
    await parquetWrite({ writer, columnData, rowGroupSize, createdBy: 'claudemesh', kvMetadata: [schemaName] })
    return writer.getBytes()
  },

  async decode(bytes) {
    const file = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer
    const found = await parquetReadObjects({ file })
    return found.map((record) => {
      const entries = columns.map(({ name, form }) => [
        name,
        form === undefined ? record[name] : convert(form.read, record[name]),
      ])
      return Object.fromEntries(entries)
    })
  },
}

/** Between two groups of rows it gives the event loop back. */
class PausingWriter extends ByteWriter {
  async flush(): Promise<void> {
    await nextTurn()
  }
}

function convert(form: (value: never) => unknown, value: unknown): unknown {
  return value === null || value === undefined ? null : form(value as never)
}
