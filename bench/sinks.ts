/** Exports of the history, against reading the same rows from the same file and writing them as lines of JSON. */
import { closeSync, fsyncSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { History } from '@claudemesh/history'
import {
  BlobSink,
  ForwardSink,
  jsonlWriter,
  LocalDirectory,
  parquetWriter,
  parseSchedule,
  ScheduledSink,
  type Sink,
  SinkServer,
  systemRuntime,
} from '@claudemesh/sinks'
import BetterSqlite3 from 'better-sqlite3'
import type { Benchmark, Contest, Sample } from './benchmark.ts'
import { fillHistory, partition } from './history-rows.ts'

const smallRows = 1000
const exportedRows = 50_000
const ticks = 200

export const sinks: Benchmark = {
  name: 'sinks',
  limit: 'bare better-sqlite3 over the same file, JSON.stringify and one file of lines, synced; a tick over 1,000 rows',
  size: { unit: 'rows', whenAlone: 1_000_000, inWholeRun: 100_000 },
  rounds: 5,
  figures: [
    {
      name: 'tick, nothing new',
      about: 'time of a tick over all rows / over 1,000 rows, with nothing to export',
      target: { atMost: 2 },
    },
    {
      name: 'export as Parquet',
      about: 'rows exported to a directory / read and written bare',
      target: { atLeast: 0.3 },
    },
    { name: 'export as JSON lines', about: 'the same under gzip / read and written bare', target: { atLeast: 0.3 } },
    {
      name: 'export over HTTP',
      about: 'rows stored by the reference receiver, in this process too / read and written bare',
      target: { atLeast: 0.1 },
    },
  ],
  prepare,
}

async function prepare(rows: number): Promise<Contest> {
  const directory = mkdtempSync(join(tmpdir(), 'claudemesh-bench-'))
  const open = (name: string, count: number) => fillHistory(join(directory, name), count)
  const [large, small, exported] = [open('large', rows), open('small', smallRows), open('exported', exportedRows)]
  let made = 0
  const fresh = () => join(directory, `${made++}`)
  const resting = await Promise.all([large, small].map((history) => restingSink(history, fresh())))
  const blob = (writer: typeof parquetWriter) =>
    exportAll(exported, fresh(), new BlobSink({ writer, destination: new LocalDirectory(fresh()) }))
  return {
    subject: async (): Promise<Sample> => ({
      'tick, nothing new': await tickMs(resting[0]),
      'export as Parquet': await blob(parquetWriter),
      'export as JSON lines': await blob(jsonlWriter),
      'export over HTTP': await forward(exported, fresh),
    }),
    limit: async (): Promise<Sample> => {
      const bare = copyBare(join(directory, 'exported'), fresh())
      return {
        'tick, nothing new': await tickMs(resting[1]),
        'export as Parquet': bare,
        'export as JSON lines': bare,
        'export over HTTP': bare,
      }
    },
    close: async () => {
      for (const sink of resting) await sink.close()
      for (const history of [large, small, exported]) history.close()
      rmSync(directory, { recursive: true })
    },
  }
}

function schedule(history: History, directory: string, sink: Sink): ScheduledSink {
  const never = parseSchedule('0 0 1 1 *')
  if (never === null) throw new Error('no schedule')
  const name = 'measured'
  return new ScheduledSink({
    ...{ name, directory, sink, source: history, schedule: never, datasets: null, jitterMsMax: 0 },
    runtime: systemRuntime(),
    onEvent: () => undefined,
  })
}

async function restingSink(history: History, directory: string): Promise<ScheduledSink> {
  const sink = schedule(
    history,
    directory,
    new BlobSink({ writer: parquetWriter, destination: new LocalDirectory(directory) }),
  )
  await sink.reset(partition, history.newestSeq(partition))
  return sink
}

async function tickMs(sink: ScheduledSink | undefined): Promise<number> {
  const started = performance.now()
  for (let tick = 0; tick < ticks; tick += 1) await sink?.run()
  return (performance.now() - started) / ticks
}

async function exportAll(history: History, directory: string, sink: Sink): Promise<number> {
  const scheduled = schedule(history, directory, sink)
  const started = performance.now()
  const { rows, error } = await scheduled.run()
  const rate = (rows * 1000) / (performance.now() - started)
  await scheduled.close()
  if (error !== null || rows !== exportedRows) throw new Error(`exported ${rows} rows: ${error}`)
  return rate
}

async function forward(history: History, fresh: () => string): Promise<number> {
  const receiver = await SinkServer.open({
    ...{ ledger: `${fresh()}.db`, host: '127.0.0.1', port: 0, token: null, signatureKey: null, now: Date.now },
  })
  const o = { url: receiver.url, compression: 'gzip' as const, tokenRef: null, signatureKeyRef: null }
  const rate = await exportAll(history, fresh(), new ForwardSink({ ...o, runtime: systemRuntime() }))
  await receiver.close()
  return rate
}

const selectRows = `
  SELECT key AS seq, 'messages/mesh=home' AS partition, direction, mesh, at, sender, destination, client_message_id,
         broker_message_id, history_id, body, meta, state, lower(hex(row_id)) AS row_id
    FROM history_row ORDER BY key`

/** Rows a second. */
function copyBare(history: string, path: string): number {
  const db = new BetterSqlite3(join(history, 'messages/mesh=home/gen-1.db'), { readonly: true })
  const started = performance.now()
  const file = openSync(path, 'w')
  let lines: string[] = []
  let rows = 0
  for (const row of db.prepare(selectRows).iterate()) {
    lines.push(`${JSON.stringify(row)}\n`)
    rows += 1
    if (lines.length < 1000) continue
    writeSync(file, lines.join(''))
    lines = []
  }
  writeSync(file, lines.join(''))
  fsyncSync(file)
  closeSync(file)
  const rate = (rows * 1000) / (performance.now() - started)
  db.close()
  return rate
}
