/** Rows in order, a page at a time: the event loop runs between pages, and no page is larger than its bounds. */
import type { HistoryRow } from '@claudemesh/protocol'
import { read, type Statement } from '@claudemesh/storage'
import type { ReadOptions, ReadRow } from './history-source.ts'
import { readBytesMax, readRowsMax } from './limits.ts'
import type { PartitionStore } from './partition-store.ts'
import { allColumns } from './row.ts'
import { prepareRead, type RowRecord, toRow } from './statements.ts'

type Record = Partial<RowRecord> & { readonly key: number; readonly bytes: number }

export async function* readRows<Column extends keyof HistoryRow>(
  find: () => PartitionStore | null,
  o: ReadOptions<Column>,
): AsyncGenerator<ReadRow<Column>> {
  const store = find()
  if (store === null) return
  const { generation, name } = store
  const columns = o.columns ?? (allColumns as readonly Column[])
  const until = o.until ?? Number.MAX_SAFE_INTEGER
  let after = o.since === undefined || o.since === 0 ? Number.MIN_SAFE_INTEGER : o.since
  generation.hold()
  try {
    const statement = prepareRead(generation.db, columns) as Statement<[number, number], Record>
    for (;;) {
      const page = read(generation.db, () => readPage(statement, after, until))
      for (const record of page.records) {
        after = record.key
        yield { row: toRow(name, record, columns), after }
      }
      if (page.isLast) return
    }
  } finally {
    generation.release()
  }
}

function readPage(
  statement: Statement<[number, number], Record>,
  after: number,
  until: number,
): { readonly records: readonly Record[]; readonly isLast: boolean } {
  const records: Record[] = []
  let bytes = 0
  for (const record of statement.iterate(after, until)) {
    records.push(record)
    bytes += record.bytes
    if (records.length === readRowsMax || bytes >= readBytesMax) return { records, isLast: false }
  }
  return { records, isLast: true }
}
