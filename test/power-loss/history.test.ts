/**
 * Cuts of the power, and a disk that fails, under a process that records, prunes, compacts and exports (08 §4): whatever is left,
 * it goes on by itself, and in the end every row is in the exported objects once.
 */
import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { listExported } from '@claudemesh/sinks/state'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  BlobSink,
  LocalDirectory,
  parquetWriter,
  parseSchedule,
  ScheduledSink,
} from '../../packages/sinks/src/index.ts'
import { HistoryUnderTest, messages, range, rowOf } from '../history/history-under-test.ts'
import { bundledChild } from '../support/child.ts'
import { ManualTime } from '../support/manual-time.ts'
import { Recording, whyNotRecordable } from '../support/powerloss/recorder.ts'
import { sweep } from '../support/powerloss/sweep.ts'
import type { Trace } from '../support/powerloss/trace.ts'
import { memoryDirectory } from '../support/scratch-directory.ts'
import { seeded } from '../support/seed.ts'

const random = seeded()
const rounds = Number(process.env['CLAUDEMESH_TEST_DISK_FAULTS'] ?? 1)

/** Rows to record and export, and the step at which it is killed. */
const lives: readonly (readonly [rows: number, crashAt: string])[] = [
  [600, ''],
  [300, 'sinks.intent_written'],
  [200, ''],
  [150, 'sinks.object_named'],
  [100, 'history.compact.swapped:2'],
  [50, 'history.prune.committed'],
  [80, 'atomic_file.renamed:3'],
]

/** `#` is a number at random, so that another operation fails each time. */
const faults = [
  'eio-write=#:gen-*',
  'eio-fsync=#:gen-*',
  'eio-fsync=1:gen-2*',
  'eio-write=#',
  'eio-fsync=#',
  'eio-fsync=#+',
  'enospc',
]

describe.skipIf(whyNotRecordable() !== null)(`history and sinks on a disk (seed ${random.seed})`, () => {
  const scratch = mkdtempSync(join(tmpdir(), 'claudemesh-test-'))
  const directory = join(scratch, 'recorded')
  let trace: Trace
  let failed = 0

  afterAll(() => rmSync(scratch, { recursive: true, force: true }))
  beforeAll(async () => {
    mkdirSync(directory, { mode: 0o700 })
    const recording = await Recording.start({ directory, trace: join(scratch, 'trace') })
    const run = (rows: number, crashAt = '') => live(recording, directory, { rows, crashAt })
    for (const [rows, crashAt] of lives) expect((await run(rows, crashAt)).ending).toBe(crashAt === '' ? 0 : 'SIGKILL')
    for (const fault of Array.from({ length: rounds }, () => faults).flat()) {
      const at =
        fault === 'enospc'
          ? `enospc=${bytesBelow(directory) + 30_000}`
          : fault.replace('#', String(1 + Math.floor(random.next() * 20)))
      recording.setFaults(at)
      const { ending, said } = await run(120)
      recording.setFaults()
      if (ending !== 0 || said.includes('"error":"')) failed += 1
      if (ending !== 0) expect(said, at).toMatch(/insufficient_storage|storage_failed/)
      expect((await run(20)).ending, `after ${at}`).toBe(0)
    }
    trace = await recording.end()
  }, 300_000)

  test('where it failed it said so, and in the end every row is exported once', async () => {
    expect(failed).toBeGreaterThan(0)
    expect(await findFaults(directory)).toEqual([])
  })

  test('whenever the power goes, what is left goes on by itself, and no row is exported twice', async () => {
    const { images, violations } = await sweep({
      trace,
      seed: random.seed,
      out: join(memoryDirectory(), 'image'),
      look: ({ directory: image }) => findFaults(image),
    })
    console.log(
      `power cuts under history and sinks: ${trace.points} points, ${images} images, ${failed} failures of the disk, ` +
        `${violations.length} violations, seed ${random.seed}`,
    )
    expect(violations).toEqual([])
  }, 3_600_000)
})

/** One life of a process that exports to a directory beside its history. */
async function live(recording: Recording, directory: string, o: { rows: number; crashAt: string }) {
  const args = [directory, `file://${join(directory, 'exports')}`, String(o.rows), 'upkeep']
  const [launch = '', ...rest] = [
    ...recording.launcher,
    process.execPath,
    bundledChild('sinks/children/export.mjs'),
    ...args,
  ]
  const child = spawn(launch, rest, { env: { ...process.env, CLAUDEMESH_CRASH_AT: o.crashAt } })
  let said = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      said += String(chunk)
    })
  }
  const ending = await new Promise<number | NodeJS.Signals | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => resolve(code ?? signal))
  })
  return { ending, said }
}

/** What is wrong with a directory after it was taken up again: rows that are exported twice, or not at all. */
async function findFaults(directory: string): Promise<readonly string[]> {
  const it = new HistoryUnderTest(join(directory, 'history'), listExported(join(directory, 'sinks')))
  try {
    if (it.history.isOvertaken(messages)) return ['the history has less than was exported']
    const recorded = it.history.cursor(messages, 'numbers')?.position ?? 0
    const rows = range(recorded + 1, recorded + 10).map((n) => rowOf(n))
    it.history.append(messages, { rows, cursors: [{ source: 'numbers', generation: 'g', position: recorded + 10 }] })
    const run = await exportAll(it, directory)
    if (run.error !== null || run.lost > 0) return [`${run.lost} lost, ${run.error}`]
    const numbers = await numbersIn(join(directory, 'exports'))
    const twice = numbers.length - new Set(numbers).size
    const missing = range(1, recorded + 10).filter((n) => !numbers.includes(n))
    return [
      ...(twice > 0 ? [`${twice} rows are exported twice`] : []),
      ...(missing.length > 0 ? [`${missing.length} rows are not exported, from ${missing[0]}`] : []),
    ]
  } finally {
    it.history.close()
  }
}

async function exportAll(it: HistoryUnderTest, directory: string) {
  const schedule = parseSchedule('0 0 1 1 *')
  if (schedule === null) throw new Error('no schedule')
  const destination = new LocalDirectory(join(directory, 'exports'))
  const sink = new ScheduledSink({
    ...{ name: 'collector', directory: join(directory, 'sinks/collector'), source: it.history, schedule },
    sink: new BlobSink({ writer: parquetWriter, destination }),
    ...{ datasets: null, jitterMsMax: 0, runtime: new ManualTime(), onEvent: () => undefined },
  })
  try {
    return await sink.run()
  } finally {
    await sink.close()
  }
}

async function numbersIn(exports: string): Promise<number[]> {
  const entries = readdirSync(exports, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile() && !entry.name.startsWith('.'))
  const paths = files.map(({ parentPath, name }) => join(parentPath, name))
  const rows = await Promise.all(paths.map((path) => parquetWriter.decode(readFileSync(path))))
  return rows.flat().map(({ meta }) => Number(meta?.['n']))
}

function bytesBelow(directory: string): number {
  const names = readdirSync(directory, { recursive: true, encoding: 'utf8' })
  const files = names.map((name) => statSync(join(directory, name))).filter((stats) => stats.isFile())
  return files.reduce((bytes, { size }) => bytes + size, 0)
}
