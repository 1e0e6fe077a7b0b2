/** All SQL of a generation. Records become rows here and nowhere else. */
import type { HistoryRow, JsonObject } from '@claudemesh/protocol'
import type { Database, Statement } from '@claudemesh/storage'

/** Where a source stands, and in which of its files. */
export interface SourceCursor {
  readonly source: string
  readonly generation: string
  readonly position: number
}

export interface PartitionState {
  readonly newestSeq: number
  readonly promisedSeq: number
  readonly prunedRows: number
}

export interface SinkAcknowledgement {
  readonly name: string
  readonly acknowledgedSeq: number
}

/** A row as it is stored. */
export interface RowRecord {
  readonly key: number
  readonly direction: HistoryRow['direction']
  readonly mesh: string
  readonly at: number
  readonly sender: string | null
  readonly destination: string | null
  readonly client_message_id: string | null
  readonly broker_message_id: string | null
  readonly history_id: string | null
  readonly body: string | null
  readonly meta: string | null
  readonly state: string
  readonly row_id: Buffer
  readonly recorded_at: number
}

/** What of a row decides when it goes. */
export interface AgedRow {
  readonly key: number
  readonly recordedAt: number
  readonly bytes: number
}

export interface RowFilter {
  readonly direction: string | null
  readonly sender: string | null
  readonly destination: string | null
  readonly clientMessageId: string | null
  readonly brokerMessageId: string | null
  readonly state: string | null
  readonly from: number
  readonly to: number
}

const columnNames = [
  'direction',
  'mesh',
  'at',
  'sender',
  'destination',
  'client_message_id',
  'broker_message_id',
  'history_id',
  'body',
  'meta',
  'state',
  'row_id',
] as const

const storedColumns = `key, ${columnNames.join(', ')}, recorded_at`
/** Smaller than any key of a row. */
const beforeAll = Number.MIN_SAFE_INTEGER

/** Bytes of a row as a file has them, about: what varies, and what does not. */
const rowBytes = `200 + coalesce(length(CAST(body AS BLOB)), 0) + coalesce(length(CAST(meta AS BLOB)), 0)`

export type GenerationStatements = ReturnType<typeof prepareStatements>

/** Prepares every statement once and gives each a typed form. */
export function prepareStatements(db: Database) {
  const insert = db.prepare(`
    INSERT INTO history_row (${storedColumns})
    VALUES (:key, ${columnNames.map((name) => `:${name}`).join(', ')}, :recorded_at)
    ON CONFLICT (row_id) DO NOTHING`)
  const oldestKey = db.prepare(`SELECT min(key) FROM history_row`).pluck()
  const newestKey = db.prepare(`SELECT max(key) FROM history_row`).pluck()
  const remove = db.prepare(`DELETE FROM history_row WHERE key = ?`)
  const count = db.prepare(`SELECT count(*) FROM history_row WHERE key > ? AND key <= ?`).pluck()
  const oldest = db.prepare(`
    SELECT key, recorded_at AS recordedAt, ${rowBytes} AS bytes FROM history_row ORDER BY key LIMIT +?`)
  const removeThrough = db.prepare(`DELETE FROM history_row WHERE key <= ?`)
  const noteLost = db.prepare(`
    INSERT INTO lost_row (seq) SELECT key FROM history_row WHERE key > :after AND key <= :through AND key > 0`)
  const lost = db.prepare(`SELECT count(*) FROM lost_row WHERE seq > ? AND seq <= ?`).pluck()
  const forgetLost = db.prepare(`DELETE FROM lost_row WHERE seq <= ?`)
  const lostSeqs = db.prepare(`SELECT seq FROM lost_row ORDER BY seq`).pluck()
  const addLost = db.prepare(`INSERT INTO lost_row (seq) VALUES (?)`)
  const cursor = db.prepare(`SELECT source, generation, position FROM source_cursor WHERE source = ?`)
  const cursors = db.prepare(`SELECT source, generation, position FROM source_cursor ORDER BY source`)
  const saveCursor = db.prepare(`
    INSERT INTO source_cursor (source, generation, position) VALUES (:source, :generation, :position)
    ON CONFLICT (source) DO UPDATE SET generation = excluded.generation, position = excluded.position
    WHERE excluded.generation <> source_cursor.generation OR excluded.position >= source_cursor.position`)
  const sinks = db.prepare(`SELECT name, acknowledged_seq AS acknowledgedSeq FROM sink ORDER BY name`)
  const acknowledge = db.prepare(`
    INSERT INTO sink (name, acknowledged_seq) VALUES (:name, :acknowledgedSeq)
    ON CONFLICT (name) DO UPDATE SET acknowledged_seq = excluded.acknowledged_seq`)
  const forgetSink = db.prepare(`DELETE FROM sink WHERE name = ?`)
  const state = db.prepare(`
    SELECT newest_seq AS newestSeq, promised_seq AS promisedSeq, pruned_rows AS prunedRows FROM partition_state`)
  const saveState = db.prepare(`
    UPDATE partition_state SET newest_seq = :newestSeq, promised_seq = :promisedSeq, pruned_rows = :prunedRows`)
  return {
    /** @returns false when a row that says the same is there */
    insert: (record: RowRecord): boolean => insert.run(record).changes === 1,
    oldestKey: () => oldestKey.get() as number | null,
    newestKey: () => newestKey.get() as number | null,
    remove: (key: number) => void remove.run(key),
    count: (after: number | null, through: number) => count.get(after ?? beforeAll, through) as number,
    oldest: (limit: number) => oldest.all(limit) as AgedRow[],
    removeThrough: (key: number): number => removeThrough.run(key).changes,
    noteLost: (o: { after: number; through: number }): number => noteLost.run(o).changes,
    lost: (since: number, until: number) => lost.get(since, until) as number,
    forgetLost: (throughSeq: number) => void forgetLost.run(throughSeq),
    lostSeqs: () => lostSeqs.all() as number[],
    addLost: (seq: number) => void addLost.run(seq),
    cursor: (source: string) => (cursor.get(source) as SourceCursor | undefined) ?? null,
    cursors: () => cursors.all() as SourceCursor[],
    saveCursor(to: SourceCursor): void {
      if (saveCursor.run(to).changes === 1) return
      throw new Error(`the cursor of ${to.source} would move back to ${to.position}`)
    },
    sinks: () => sinks.all() as SinkAcknowledgement[],
    acknowledge: (sink: SinkAcknowledgement) => void acknowledge.run(sink),
    forgetSink: (name: string) => void forgetSink.run(name),
    state: () => state.get() as PartitionState,
    saveState: (to: PartitionState) => void saveState.run(to),
  }
}

/** Reads some columns of rows in order of their keys. */
export function prepareRead(db: Database, columns: readonly (keyof HistoryRow)[]): Statement<[number, number]> {
  const stored = columns.filter((column) => column !== 'seq' && column !== 'partition')
  const selected = ['key', `${rowBytes} AS bytes`, ...stored].join(', ')
  return db.prepare(`SELECT ${selected} FROM history_row WHERE key > ? AND key <= ? ORDER BY key`)
}

/** Reads rows whole, as they are stored. */
export function prepareCopy(db: Database): Statement<[number], RowRecord> {
  return db.prepare(`SELECT ${storedColumns} FROM history_row WHERE key > ? ORDER BY key`)
}

const matches = `
  (:direction IS NULL OR direction = :direction) AND (:sender IS NULL OR sender = :sender)
  AND (:destination IS NULL OR destination = :destination) AND (:state IS NULL OR state = :state)
  AND (:clientMessageId IS NULL OR client_message_id = :clientMessageId)
  AND (:brokerMessageId IS NULL OR broker_message_id = :brokerMessageId)
  AND at >= :from AND at < :to`

/** A page of a query: how far it looks, and what it finds there. */
export function prepareQuery(db: Database, order: 'newest' | 'oldest') {
  const [behind, through, direction] = order === 'newest' ? ['<', '>=', 'DESC'] : ['>', '<=', 'ASC']
  const edge = db.prepare(`
    SELECT key FROM history_row WHERE key ${behind} ? ORDER BY key ${direction} LIMIT 1 OFFSET ?`)
  const rows = db.prepare(`
    SELECT ${storedColumns} FROM history_row
     WHERE key ${behind} :after AND key ${through} :through AND ${matches} ORDER BY key ${direction} LIMIT +:limit`)
  return {
    /** The key of the last of some rows behind a key; null when there are not so many. */
    edge: (after: number, rowCount: number) => (edge.pluck().get(after, rowCount - 1) as number | undefined) ?? null,
    rows: (o: RowFilter & { after: number; through: number; limit: number }) => rows.all(o) as RowRecord[],
  }
}

/** Bytes of the pages that hold something, of all pages, and how many there are in all. */
export function readSizes(db: Database): { readonly usedBytes: number; readonly fileBytes: number } {
  const pragma = (name: string) => Number(db.pragma(name, { simple: true }))
  const pageBytes = pragma('page_size')
  const pages = pragma('page_count')
  return { usedBytes: (pages - pragma('freelist_count')) * pageBytes, fileBytes: pages * pageBytes }
}

/** A row, or some of its columns, as the rest of the program sees it. */
export function toRow<Column extends keyof HistoryRow>(
  partition: string,
  record: Partial<RowRecord> & Pick<RowRecord, 'key'>,
  columns: readonly Column[],
): Pick<HistoryRow, Column> {
  const row: Record<string, unknown> = {}
  for (const column of columns) row[column] = columnOf(partition, record, column)
  return row as Pick<HistoryRow, Column>
}

function columnOf(partition: string, record: Partial<RowRecord> & Pick<RowRecord, 'key'>, column: keyof HistoryRow) {
  switch (column) {
    case 'seq':
      return record.key > 0 ? record.key : null
    case 'partition':
      return partition
    case 'meta':
      return typeof record.meta === 'string' ? (JSON.parse(record.meta) as JsonObject) : null
    case 'row_id':
      return record.row_id?.toString('hex')
    default:
      return record[column]
  }
}
