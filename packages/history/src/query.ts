/** Pages for a person who looks for something: filters, newest or oldest first, bounded work for each page. */
import type { HistoryRow } from '@claudemesh/protocol'
import { read } from '@claudemesh/storage'
import { scannedRowsMax } from './limits.ts'
import type { PartitionStore } from './partition-store.ts'
import { allColumns } from './row.ts'
import { prepareQuery, type RowFilter, toRow } from './statements.ts'

export interface HistoryQuery extends RowFilter {
  readonly order: 'newest' | 'oldest'
  /** `next` of the page before; null: the first page. */
  readonly after: number | null
  readonly limit: number
}

export interface HistoryPage {
  readonly rows: readonly HistoryRow[]
  /** Where the next page begins; null: everything was looked at. A page may be short although there is one. */
  readonly next: number | null
}

export function queryPage(store: PartitionStore, { order, after, limit, ...filter }: HistoryQuery): HistoryPage {
  const { db } = store.generation
  const [first, last] =
    order === 'newest'
      ? [Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER]
      : [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER]
  return read(db, () => {
    const query = prepareQuery(db, order)
    const edge = query.edge(after ?? first, scannedRowsMax)
    const records = query.rows({ ...filter, after: after ?? first, through: edge ?? last, limit })
    const rows = records.map((record) => toRow(store.name, record, allColumns))
    const isFull = records.length === limit
    return { rows, next: isFull ? (records.at(-1)?.key ?? null) : edge }
  })
}
