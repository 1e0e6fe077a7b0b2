/** The history: reading rows in their order, and appending while all of it is compacted. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import type { History } from '@claudemesh/history'
import BetterSqlite3 from 'better-sqlite3'
import type { Benchmark, Contest, Sample } from './benchmark.ts'
import { fillHistory, historyRow, partition } from './history-rows.ts'

const stallMsMax = 50

export const history: Benchmark = {
  name: 'history',
  limit: 'bare better-sqlite3 over the same file; a millisecond',
  size: { unit: 'rows', whenAlone: 100_000, inWholeRun: 20_000 },
  rounds: 5,
  figures: [
    { name: 'read rows', about: 'rows as an export reads them / rows of the same file', target: { atLeast: 0.3 } },
    {
      name: 'longest append',
      about: 'from the turn before to its end, while the history is compacted',
      target: { atMost: stallMsMax },
      unit: 'ms',
    },
  ],
  prepare,
}

async function prepare(rows: number): Promise<Contest> {
  const directory = mkdtempSync(join(tmpdir(), 'claudemesh-bench-'))
  const filled = fillHistory(join(directory, 'history'), rows)
  let appended = rows
  let appends = 0
  return {
    subject: async (): Promise<Sample> => {
      const read = await readRate(filled)
      const compacting = { done: false }
      const compaction = filled.compact(partition).finally(() => {
        compacting.done = true
      })
      let longest = 0
      for (let last = performance.now(); !compacting.done; last = performance.now()) {
        await turn()
        filled.append(partition, { rows: [historyRow(appended)], cursors: [] })
        appended += 1
        appends += 1
        longest = Math.max(longest, performance.now() - last)
      }
      await compaction
      return { 'read rows': read, 'longest append': longest }
    },
    limit: (): Sample => ({ 'read rows': bareRate(filled), 'longest append': 1 }),
    notes: () => [`${appends} appends while it was compacted`],
    close: () => {
      filled.close()
      rmSync(directory, { recursive: true })
    },
  }
}

async function readRate(from: History): Promise<number> {
  const started = performance.now()
  let rows = 0
  for await (const { row } of from.readRows(partition)) rows += row.seq === null ? 0 : 1
  return (rows * 1000) / (performance.now() - started)
}

/** Of the generation in force. */
function bareRate(from: History): number {
  const db = new BetterSqlite3(from.stats()[0]?.path ?? '', { readonly: true, fileMustExist: true })
  const started = performance.now()
  let rows = 0
  for (const _ of db.prepare(`SELECT * FROM history_row ORDER BY key`).iterate()) rows += 1
  const rate = (rows * 1000) / (performance.now() - started)
  db.close()
  return rate
}
