/**
 * A new generation of a partition, without the space that deleted rows have left (08 §1).
 *
 * 1. Rows keep their seqs. What was appended meanwhile is in the new generation exactly once: the last of it is copied in the
 *    turn of the event loop that swaps the two.
 * 2. The new one is compared with the old before it is put in force: what every row says is hashed again, and all of them
 *    in their order.
 * 3. It is on the disk before `current` names it. Killed before that, the old one is in force; after it the new one, with
 *    the same rows.
 * 4. Appends do not wait: it works in steps of some milliseconds with pauses as long as they, and the disk is waited for in
 *    another thread.
 */
import { createHash, type Hash } from 'node:crypto'
import { open } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { MeshError } from '@claudemesh/protocol'
import {
  crashPoint,
  immediate,
  openDraft,
  openForReading,
  type Statement,
  syncDirectory,
  synced,
  toStorageError,
} from '@claudemesh/storage'
import { currentGeneration, nextGeneration, pointTo } from './directory.ts'
import { Generation, migrations, removeGeneration } from './generation.ts'
import { compactBytesMax, compactRowsMax } from './limits.ts'
import type { PartitionStore } from './partition-store.ts'
import { rowDigest } from './row.ts'
import { prepareCopy, prepareStatements, type RowRecord, readSizes } from './statements.ts'

export interface Compacted {
  readonly partition: string
  /** Name of the file that is in force now. */
  readonly generation: string
  readonly rows: number
  readonly bytesBefore: number
  readonly bytesAfter: number
}

interface Options {
  readonly now: () => number
  readonly signal: AbortSignal
}

/** What was copied: up to which key, how many rows, and the digest of them in their order. */
interface Copied {
  readonly after: number
  readonly rows: number
  readonly digest: string
}

/**
 * @throws MeshError `history_damaged` when a row is not what was recorded, `insufficient_storage`, `storage_failed`; the
 *   generation in force stays so
 */
export async function compact(store: PartitionStore, o: Options): Promise<Compacted> {
  const former = store.generation
  const path = nextGeneration(former.path)
  const bytesBefore = readSizes(former.db).fileBytes
  // What a compaction left that failed.
  removeGeneration(path)
  former.hold()
  try {
    const copied = await copyDurably(former, path, o)
    await verify(store, { path, copied, signal: o.signal })
    const rows = await catchUpAndSwap(store, { former, path, copied, ...o })
    const bytesAfter = readSizes(store.generation.db).fileBytes
    return { partition: store.name, generation: basename(path), rows, bytesBefore, bytesAfter }
  } catch (error) {
    if (store.generation === former && !store.broken) removeGeneration(path)
    throw error
  } finally {
    former.release()
    await former.removal
  }
}

async function copyDurably(former: Generation, path: string, o: Options): Promise<Copied> {
  const draft = openDraft(path, { directory: migrations, now: o.now })
  const seen = createHash('sha256')
  let copied: Omit<Copied, 'digest'> = { after: Number.MIN_SAFE_INTEGER, rows: 0 }
  try {
    const sql = prepareStatements(draft)
    await walk(prepareCopy(former.db), { after: copied.after, signal: o.signal }, (rows) => {
      immediate(draft, () => {
        for (const row of rows) {
          if (!sql.insert(row)) throw new Error(`two rows of ${former.path} say the same`)
        }
      })
      for (const row of rows) take(seen, row)
      copied = { after: rows.at(-1)?.key ?? copied.after, rows: copied.rows + rows.length }
      crashPoint('history.compact.copied')
    })
  } finally {
    draft.close()
  }
  await syncFile(path)
  syncDirectory(dirname(path))
  crashPoint('history.compact.synced')
  return { ...copied, digest: seen.digest('hex') }
}

async function verify(
  store: PartitionStore,
  { path, copied, signal }: { path: string; copied: Copied; signal: AbortSignal },
): Promise<void> {
  const db = openForReading(path)
  const seen = createHash('sha256')
  let count = 0
  try {
    await walk(prepareCopy(db), { after: Number.MIN_SAFE_INTEGER, signal }, (rows) => {
      for (const row of rows) {
        if (!rowDigest(store.name, row).equals(row.row_id)) {
          throw damaged(store, `row ${row.key} does not say what was recorded`)
        }
        take(seen, row)
      }
      count += rows.length
    })
  } finally {
    db.close()
  }
  if (count !== copied.rows || seen.digest('hex') !== copied.digest) throw damaged(store, 'the copy differs')
  crashPoint('history.compact.verified')
}

/** @returns how many rows the new generation has */
async function catchUpAndSwap(
  store: PartitionStore,
  o: Options & { former: Generation; path: string; copied: Copied },
): Promise<number> {
  const next = Generation.open({ path: o.path, now: o.now, isChecked: true })
  const source = prepareCopy(o.former.db)
  let { after, rows } = o.copied
  try {
    for (;;) {
      const begun = performance.now()
      const step = readStep(source, after)
      if (step.isLast) {
        finish(store, { former: o.former, next, rest: step.rows })
        return rows + step.rows.length
      }
      immediate(next.db, () => insertAll(next, step.rows))
      after = step.rows.at(-1)?.key ?? after
      rows += step.rows.length
      await rest(begun, o.signal)
    }
  } finally {
    if (store.generation !== next) next.abandon()
  }
}

/** The turn in which the generations change places. */
function finish(
  store: PartitionStore,
  { former, next, rest }: { former: Generation; next: Generation; rest: readonly RowRecord[] },
): void {
  synced(next.db, () => {
    insertAll(next, rest)
    for (const cursor of former.sql.cursors()) next.sql.saveCursor(cursor)
    for (const sink of former.sql.sinks()) next.sql.acknowledge(sink)
    for (const seq of former.sql.lostSeqs()) next.sql.addLost(seq)
    const state = former.sql.state()
    next.sql.saveState({ ...state, promisedSeq: state.newestSeq })
  })
  crashPoint('history.compact.before_swap')
  try {
    pointTo(next.path)
  } catch (error) {
    if (currentGeneration(dirname(next.path)) !== former.path) store.distrust()
    throw error
  }
  crashPoint('history.compact.swapped')
  store.swap(next)
}

/** Goes through all rows behind a key, a step at a time. */
async function walk(
  source: Statement<[number], RowRecord>,
  o: { after: number; signal: AbortSignal },
  take: (rows: readonly RowRecord[]) => void,
): Promise<void> {
  for (let after = o.after; ; ) {
    const begun = performance.now()
    const { rows, isLast } = readStep(source, after)
    if (rows.length > 0) take(rows)
    if (isLast) return
    after = rows.at(-1)?.key ?? after
    await rest(begun, o.signal)
  }
}

function readStep(
  source: Statement<[number], RowRecord>,
  after: number,
): { readonly rows: readonly RowRecord[]; readonly isLast: boolean } {
  const rows: RowRecord[] = []
  let bytes = 0
  for (const row of source.iterate(after)) {
    rows.push(row)
    bytes += (row.body?.length ?? 0) + (row.meta?.length ?? 0)
    if (rows.length === compactRowsMax || bytes > compactBytesMax) return { rows, isLast: false }
  }
  return { rows, isLast: true }
}

/** Leaves the event loop to others for as long as the step took. */
async function rest(begun: number, signal: AbortSignal): Promise<void> {
  await pause(performance.now() - begun, undefined, { signal })
}

function insertAll(generation: Generation, rows: readonly RowRecord[]): void {
  for (const row of rows) {
    if (!generation.sql.insert(row)) throw new Error(`${generation.path} has row ${row.key} already`)
  }
}

function take(seen: Hash, row: RowRecord): void {
  seen.update(`${row.key} ${row.recorded_at} `).update(row.row_id)
}

/** @throws MeshError `storage_failed` */
async function syncFile(path: string): Promise<void> {
  try {
    const file = await open(path, 'r+')
    await file.sync().finally(() => file.close())
  } catch (error) {
    throw toStorageError(error, path)
  }
}

function damaged(store: PartitionStore, what: string): MeshError {
  const { path } = store.generation
  return new MeshError('history_damaged', { detail: `${path} was not compacted: ${what}`, data: { path } })
}
